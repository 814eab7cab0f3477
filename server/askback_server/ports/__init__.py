"""Protocols that storage implements, and values that cross that boundary."""
