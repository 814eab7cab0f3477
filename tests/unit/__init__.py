"""Tests of single modules: without a database, other processes or a network beyond loopback."""
