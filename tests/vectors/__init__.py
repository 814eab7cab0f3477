"""Conformance vectors of the two streams, and what runs them here."""
