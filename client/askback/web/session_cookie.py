"""The session cookie: a person's own credential, sealed so that neither the browser nor a proxy can read it.

The gateway stores nothing about a session. Every gateway with the same keys opens the same cookies.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from askback.web.session_keys import SessionKeys

SECURE_COOKIE = "__Host-askback"
"""The cookie's name on https: browsers accept it from this host only, over TLS only, for all paths."""
LOOPBACK_COOKIE = "askback-dev"
"""The cookie's name on http, which is for loopback only: browsers differ on `__Host-` and Secure there."""
IDLE_SECONDS = 15 * 60.0
"""Lifetime of a cookie. Each use of the session renews it."""
SESSION_SECONDS = 12 * 3600.0
"""Lifetime of a session: then its person signs in again, however active the session was."""
RENEW_SECONDS = 60.0
"""Age at which a cookie is renewed: not with each reply."""
_SKEW_SECONDS = 60.0
"""Difference between the clocks of two gateways that is tolerated."""
MAX_COOKIE_BYTES = 4096
"""Maximum size of a cookie with its name and attributes that every browser stores."""


class TooLarge(ValueError):
    """A credential does not fit into a cookie."""


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in session."""

    session_id: str
    credential: tuple[tuple[str, str], ...]
    """The metadata with which the service authenticates this person."""
    ends_at: float
    """Absolute end, in seconds since 1970."""
    sealed_at: float = 0.0
    """When the cookie was sealed."""
    kid: str = ""
    """The name of the key that sealed it."""

    def ending_by(self, time: float) -> Session:
        """The session, with an absolute end at this time at the latest."""
        return replace(self, ends_at=min(self.ends_at, time))


class SessionCookies:
    """Seals and opens the cookies of a gateway. Times are in seconds since 1970."""

    def __init__(self, keys: SessionKeys, *, secure: bool, now: Callable[[], float] = time.time) -> None:
        """`secure`: the page is on https. Then the cookie of loopback is not accepted."""
        self.name = SECURE_COOKIE if secure else LOOPBACK_COOKIE
        self.now = now
        self._keys = keys
        self._attributes = "; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")

    def start(self, credential: tuple[tuple[str, str], ...]) -> Session:
        """A new session of the person with this credential."""
        return Session(secrets.token_urlsafe(18), credential, self.now() + SESSION_SECONDS)

    def seal(self, session: Session) -> str:
        """The value of the `Set-Cookie` header that stores the session, for 15 minutes or to its end.

        Raises TooLarge.
        """
        now = self.now()
        key = self._keys.current()[0]
        content = {
            # The cookie of loopback must not become one of https under another name.
            "name": self.name,
            "session": session.session_id,
            "credential": session.credential,
            "sealed_at": now,
            "ends_at": session.ends_at,
        }
        header = {"alg": "dir", "enc": "A256GCM", "kid": key.kid}
        value = jwe.encrypt_compact(header, json.dumps(content, separators=(",", ":")), key.jwk)
        lasts = max(0, int(min(IDLE_SECONDS, session.ends_at - now)))
        cookie = f"{self.name}={value}{self._attributes}; Max-Age={lasts}"
        if len(cookie) > MAX_COOKIE_BYTES:
            raise TooLarge("the credential is too long for a cookie")
        return cookie

    def removal(self) -> str:
        """The value of the `Set-Cookie` header that deletes the cookie."""
        return f"{self.name}={self._attributes}; Max-Age=0"

    def open(self, value: str) -> Session | None:
        """The session in a cookie. None if it was not sealed here, was changed, or is over."""
        if len(value) > MAX_COOKIE_BYTES:
            return None
        try:
            session = self._decrypt(value)
        except (JoseError, ValueError, KeyError, TypeError):
            return None
        now = self.now()
        if now >= session.ends_at or not -_SKEW_SECONDS <= now - session.sealed_at < IDLE_SECONDS:
            return None
        return session

    def is_due(self, session: Session) -> bool:
        """Whether the session's cookie should be renewed: it has aged, or a newer key seals."""
        return self.now() - session.sealed_at >= RENEW_SECONDS or session.kid != self._keys.current()[0].kid

    def _decrypt(self, value: str) -> Session:
        """The session in a cookie, over or not. Raises JoseError, ValueError, KeyError."""
        keys = {key.kid: key.jwk for key in self._keys.current()}
        kid = ""

        def find(recipient: Any) -> OctKey:
            nonlocal kid
            kid = recipient.headers()["kid"]
            return keys[kid]

        sealed = jwe.decrypt_compact(value, find, algorithms=["dir", "A256GCM"])
        content = json.loads(sealed.plaintext or b"")
        if content["name"] != self.name:
            raise ValueError("this is the content of another cookie")
        credential = tuple((name, text) for name, text in content["credential"])
        return Session(content["session"], credential, content["ends_at"], content["sealed_at"], kid)
