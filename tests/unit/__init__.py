"""Tests of single modules: without a database, other processes or a network, but for some loopback calls."""
