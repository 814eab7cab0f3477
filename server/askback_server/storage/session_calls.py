"""Arguments of calls on worker sessions. Calls of several workers with the same `shared` run in one
transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from askback_server.ports.worker_sessions import Doubts


class SessionCall(Protocol):
    """A call on one session."""

    @property
    def session_id(self) -> str:
        """The session."""

    @property
    def shared(self) -> object:
        """What calls must have in common to share a transaction."""


class Opening(NamedTuple):
    """The arguments of `Sessions.open`."""

    namespace: str
    worker_id: str
    subject: str
    replica: str
    ttl: float


class Resumption(NamedTuple):
    """The arguments of `Sessions.resume`."""

    session_id: str
    secret: str
    subject: str
    shared: tuple[str, float]
    """Replica, and TTL in seconds."""


class Extension(NamedTuple):
    """The arguments of `Sessions.extend`."""

    session_id: str
    secret: str
    subject: str
    shared: float
    """The TTL in seconds."""


class DoubtChange(NamedTuple):
    """The arguments of `Sessions.change_doubts`."""

    session_id: str
    epoch: int
    change: Callable[[Doubts], Doubts]
    shared: None = None
