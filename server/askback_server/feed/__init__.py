"""Follows committed changes of all replicas, and signs resume tokens."""
