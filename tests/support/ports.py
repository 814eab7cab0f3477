"""Free TCP ports."""

import socket


def free_port() -> int:
    """A loopback TCP port that was free a moment ago. Another process may take it: be ready to retry."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
