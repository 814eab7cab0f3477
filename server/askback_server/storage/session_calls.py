"""The arguments of calls on worker sessions that share a transaction with equal ones of other workers."""

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
    """The arguments of `open`."""

    namespace: str
    worker_id: str
    subject: str
    replica: str
    ttl: float


class Resumption(NamedTuple):
    """The arguments of `resume`."""

    session_id: str
    secret: str
    subject: str
    shared: tuple[str, float]
    """Replica and TTL."""


class Extension(NamedTuple):
    """The arguments of `extend`."""

    session_id: str
    secret: str
    subject: str
    shared: float
    """The TTL."""


class DoubtChange(NamedTuple):
    """The arguments of `change_doubts`."""

    session_id: str
    epoch: int
    change: Callable[[Doubts], Doubts]
    shared: None = None
