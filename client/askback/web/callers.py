"""Finds who makes a request: from a cookie or bearer token to the metadata of calls in that person's name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from askback.web.forgery import require_locks
from askback.web.origins import Origins
from askback.web.refused import Refused
from askback.web.session_cookie import Session, SessionCookies

SESSION_METADATA = "askback-session"
"""The metadata with the id of the sign-in session. The service refuses calls of a session that was ended."""
SUBPROTOCOL = "askback.v1"
SCOPE_KEY = "askback.session"
"""Where a request's session is in its ASGI scope, so that the reply can renew the cookie."""
_MAX_HEADER_CHARS = 8_000


@dataclass(frozen=True, slots=True)
class Caller:
    """The person or program in whose name the gateway calls the service."""

    metadata: tuple[tuple[str, str], ...]
    """Sent with each call: the person's own credential, and the id of the sign-in session if there is one."""

    session_id: str = ""
    """The sign-in session. Empty for a bearer token without a cookie."""

    expires_at: float | None = None
    """End of the session in seconds since 1970. None for a bearer token."""

    @property
    def key(self) -> str:
        """Equal for all requests with the same credential, whatever the session; reveals nothing about it."""
        own = [pair for pair in self.metadata if pair[0] != SESSION_METADATA]
        return hashlib.sha256(repr(own).encode()).hexdigest()


class Callers:
    """Finds the caller of a request. Keeps nothing between requests."""

    def __init__(
        self, cookies: SessionCookies, origins: Origins, *, names: bool, count: Callable[[str], None]
    ) -> None:
        """`names`: people sign in with a name and no credential. Only for a gateway that this machine alone
        can reach, in front of a service without authentication. `count` gets the key of each caller, and
        raises Refused if the caller asks too often."""
        self._cookies = cookies
        self._origins = origins
        self.names = names
        self._count = count

    def of_request(self, connection: HTTPConnection) -> Caller:
        """The caller of a request. A POST with a cookie must pass the locks against forged requests.

        Raises Refused.
        """
        caller = self._without_cookie(connection)
        if caller is None:
            session = self._session(connection)
            self.require_locks(connection)
            connection.scope[SCOPE_KEY] = session
            caller = caller_of(session)
        self._count(caller.key)
        return caller

    def require_locks(self, connection: HTTPConnection) -> None:
        """Refuse a request that another page may have caused. Raises Refused."""
        require_locks(connection, self._origins)

    def of_handshake(self, socket: WebSocket) -> Caller:
        """The caller of a WebSocket handshake, which must name the subprotocol, and with a cookie the page's
        origin. Raises Refused."""
        if SUBPROTOCOL not in socket.scope.get("subprotocols", ()):
            text = f"ask for the WebSocket subprotocol {SUBPROTOCOL}"
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text, "SUBPROTOCOL")
        caller = self._without_cookie(socket)
        if caller is None:
            # Before the cookie: a foreign page must not learn whether its visitor is signed in.
            self._origins.require_exact_origin(socket.headers)
            caller = caller_of(self._session(socket))
        self._count(caller.key)
        return caller

    def _without_cookie(self, connection: HTTPConnection) -> Caller | None:
        """The caller with a bearer token, or with a name in a header. None if the request has neither.

        Both are headers that a browser does not send by itself, so no other page can use them.
        """
        headers = connection.headers
        bearer, user = headers.get("authorization"), headers.get("askback-user") if self.names else None
        if bearer is None and user is None:
            return None
        if self._cookies.name in connection.cookies:
            text = "send a cookie or a token, not both"
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text, "TWO_CREDENTIALS")
        if bearer is None:
            return Caller(name_metadata(user or "", headers.get("askback-groups", "").split(",")))
        scheme, _, token = bearer.partition(" ")
        return Caller(token_metadata(token if scheme.lower() == "bearer" else ""))

    def _session(self, connection: HTTPConnection) -> Session:
        """The session of the request's cookie. Raises Refused."""
        session = self._cookies.open(connection.cookies.get(self._cookies.name, ""))
        if session is None or (not self.names and session.credential[0][0] != "authorization"):
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, "sign in first", "SIGN_IN_REQUIRED")
        return session


def caller_of(session: Session) -> Caller:
    """The caller of a session."""
    metadata = (*session.credential, (SESSION_METADATA, session.session_id))
    return Caller(metadata, session.session_id, session.ends_at)


def token_metadata(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a bearer token. Raises Refused for a text that cannot be one."""
    token = token.strip()
    if not token or not _may_be_metadata(token):
        text = "send the token in the header `authorization: Bearer TOKEN`"
        raise Refused(grpc.StatusCode.UNAUTHENTICATED, text, "SIGN_IN_REQUIRED")
    return (("authorization", f"Bearer {token}"),)


def name_metadata(name: str, groups: list[str]) -> tuple[tuple[str, str], ...]:
    """The metadata of a name and groups that the service does not verify. Raises Refused for wrong ones."""
    name, joined = name.strip(), ",".join(filter(None, map(str.strip, groups)))
    if not name or not _may_be_metadata(name + joined):
        text = "a name, and the names of groups, have ASCII letters, digits and signs"
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text, "BAD_NAME")
    return ("askback-user", name), ("askback-groups", joined)


def _may_be_metadata(text: str) -> bool:
    """Whether gRPC can send the text as a value of metadata."""
    return len(text) <= _MAX_HEADER_CHARS and text.isascii() and text.isprintable()
