"""Engine and storage against a small model of what DESIGN says, on both databases."""
