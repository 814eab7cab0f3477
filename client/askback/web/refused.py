"""The error of a request that the gateway does not forward to the service."""

from __future__ import annotations

import grpc


class Refused(Exception):
    """A request or handshake that the gateway does not forward."""

    def __init__(self, code: grpc.StatusCode, message: str, reason: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        """A constant such as SIGN_IN_REQUIRED, for programs."""
        self.retry_after = retry_after
        """Seconds after which a repeated request may be accepted; 0 if waiting does not help."""
