"""Conformance vectors of the two streams, and their runner."""
