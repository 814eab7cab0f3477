"""Callers that try what they may not, and callers that send nonsense, beside a victim."""
