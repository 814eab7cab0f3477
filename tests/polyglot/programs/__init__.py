"""The examples' counterparts by the Python SDK; they say the same things in JSON lines."""
