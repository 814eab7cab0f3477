"""Free ports of this machine."""

import socket


def free_port() -> int:
    """A loopback TCP port that nobody used a moment ago. Another may take it first: be ready to retry."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
