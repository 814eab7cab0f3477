"""Connections: channels, unary calls with retries, and sessions over streams that break."""
