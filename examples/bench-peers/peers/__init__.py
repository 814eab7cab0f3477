"""The systems of the comparison: one module for each."""
