"""The same programs with the Python SDK; they print the same JSON lines."""
