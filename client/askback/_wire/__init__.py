"""Connections: channels, unary calls with retries, and streams that reconnect."""
