"""Resume tokens: a feed position, its epoch and the view it belongs to, signed."""

from __future__ import annotations

import base64
import hashlib
import hmac

from askback_server.ports.storage import Position

_MAC = 12


class ResumeTokens:
    """Makes and reads tokens. They are opaque to clients and hold nothing secret."""

    def __init__(self, key: bytes, epoch: str) -> None:
        self._key = key
        self._epoch = epoch

    def make(self, position: Position, view: str) -> str:
        """A token for a view (a digest of principal and filter) at a position."""
        body = f"{self._epoch}.{position.xid}.{position.id}"
        return base64.urlsafe_b64encode(self._mac(body, view) + body.encode()).decode().rstrip("=")

    def _mac(self, body: str, view: str) -> bytes:
        return hmac.new(self._key, f"{view}|{body}".encode(), hashlib.sha256).digest()[:_MAC]

    def read(self, token: str, view: str) -> Position | str:
        """The position; or, as a text for people, why the token cannot be honoured."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            mac, body = raw[:_MAC], raw[_MAC:].decode()
            epoch, xid, id = body.split(".")
            position = Position(int(xid), int(id))
        except ValueError:
            return "the resume token is not one of ours"
        if not hmac.compare_digest(mac, self._mac(body, view)):
            return "the resume token belongs to another filter or principal"
        if epoch != self._epoch:
            return "the resume token belongs to another database"
        return position


def view_digest(*parts: object) -> str:
    """A digest of what makes a view: principal, namespace, filter."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
