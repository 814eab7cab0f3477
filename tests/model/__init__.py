"""Engine and storage against a small model of what docs/design.md says, on both databases."""
