"""Compare engine and storage with a small reference model of docs/design.md, on both databases."""
