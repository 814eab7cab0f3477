"""Servers, databases, processes and fakes that the tests share."""
