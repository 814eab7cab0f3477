"""Finds who makes a request: from a cookie or bearer token to the metadata of calls in that person's name."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket


@dataclass(frozen=True, slots=True)
class Caller:
    """The person or program in whose name the gateway calls the service."""

    metadata: tuple[tuple[str, str], ...]
    """Sent with each call: the person's own credential, and the id of the sign-in session if there is one."""

    session_id: str = ""
    """The sign-in session. Empty for a bearer token without a cookie."""

    expires_at: float | None = None
    """End of the session in seconds since 1970. None for a bearer token."""


class Refused(Exception):
    """A request or handshake that the gateway does not forward."""

    def __init__(self, code: grpc.StatusCode, message: str, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        """A constant such as SIGN_IN_REQUIRED, for programs."""


class Callers:
    """Finds the caller of a request."""

    def of_request(self, connection: HTTPConnection) -> Caller:
        """The caller of a request. A POST with a cookie must pass the four locks against forged requests.

        Raises Refused.
        """
        raise NotImplementedError

    def of_handshake(self, socket: WebSocket) -> Caller:
        """The caller of a WebSocket handshake: checks Host, Origin, subprotocol, and cookie or bearer token.

        Raises Refused.
        """
        raise NotImplementedError
