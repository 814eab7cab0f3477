"""Everything as real processes on loopback."""
