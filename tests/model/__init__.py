"""Compare engine and storage with a small reference model of DESIGN, on both databases."""
