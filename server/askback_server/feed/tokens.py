"""Resume tokens: a feed position, its epoch, and the view it belongs to, signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import Position

SIGNATURE_BYTES = 12
"""Length of the signature at the beginning of a token. A HMAC of 96 bits cannot be guessed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a resume token cannot be honoured."""

    reason: str
    """For people."""
    history_lost: bool = False
    """The database has lost data that the token's holder has seen: it was restored, or failed over to a
    standby that lagged behind."""


class ResumeTokens:
    """Issues and verifies tokens. They are opaque to clients and contain no secrets."""

    def __init__(self, key: bytes, epoch: str) -> None:
        self._key = key
        self._epoch = epoch

    def make(self, position: Position, view: str) -> str:
        """Issue a token for a view (a digest of principal and filter) at a position."""
        body = f"{self._epoch}.{position.xid}.{position.id}.{position.mark}"
        return base64.urlsafe_b64encode(self._mac(body, view) + body.encode()).decode().rstrip("=")

    def _mac(self, body: str, view: str) -> bytes:
        return hmac.digest(self._key, f"{view}|{body}".encode(), "sha256")[:SIGNATURE_BYTES]

    def read(self, token: str, view: str) -> Position | Refusal:
        """Verify a token. Returns its position, or why it cannot be honoured."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            mac, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:].decode()
            epoch, xid, id, *mark = body.split(".")  # tokens of earlier releases have no mark
            position = Position(int(xid), int(id), *mark[:1])
        except ValueError:
            return Refusal("the resume token is not one of ours")
        if not hmac.compare_digest(mac, self._mac(body, view)):
            return Refusal("the resume token belongs to another filter or principal")
        if epoch != self._epoch:
            return Refusal("the resume token belongs to another history of the database", history_lost=True)
        return position


def hash_parts(*parts: object) -> str:
    """A digest of what identifies a view: principal, namespace, filter."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def digest_view(filter: PromptFilter) -> str:
    """A digest of the view that a resume token is bound to: equal ones show the same prompts."""
    viewer = filter.viewer
    labels = sorted(filter.labels.items()) + sorted(filter.any_labels.items())
    return hash_parts(
        filter.namespace,
        viewer and viewer.subject,
        viewer and sorted(viewer.groups),
        viewer and viewer.is_admin,
        filter.job_types,
        filter.kinds,
        labels,
        filter.groups,
        filter.job_id,
    )
