"""The image, built for real and run without an engine."""
