"""The cases of `make bench-full`: how each cost grows with its size. See docs/scale.md."""
