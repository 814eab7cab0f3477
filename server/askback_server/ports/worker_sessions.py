"""Storage of worker sessions. See `engine/keeper.py` for the protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from askback_server.domain.commands import SessionRef


@dataclass(frozen=True, slots=True)
class WorkerSession:
    """A worker session."""

    session_id: str
    namespace: str
    worker_id: str
    subject: str
    replica: str
    epoch: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Doubt:
    """A lease that its worker may not have: unconfirmed, or missing from the worker's list."""

    token: int
    version: int = 0
    """The job's version when the lease was sent, if the worker has not confirmed it; else 0."""
    since: float | None = None
    """The Unix time at which the worker first listed its leases without this one."""


Doubts = dict[str, Doubt]
"""By job id."""


class SessionStore(Protocol):
    """Worker sessions: one row each, whose expiry covers all the jobs of its worker.

    Times are the database's. An expired session is never revived.
    """

    async def open(
        self, namespace: str, worker_id: str, subject: str, replica: str, ttl: float
    ) -> tuple[WorkerSession, str]:
        """Create a session that lives for `ttl` seconds. Returns it and its secret."""

    async def resume(
        self, session_id: str, secret: str, subject: str, replica: str, ttl: float
    ) -> WorkerSession | None:
        """Take over a live session and raise its epoch. None if it expired, or the secret is wrong."""

    async def extend(self, session_id: str, secret: str, subject: str, ttl: float) -> datetime | None:
        """Extend a live session without taking it over. Returns the new expiry; None if it expired."""

    async def change_doubts(self, session: SessionRef, change: Callable[[Doubts], Doubts]) -> None:
        """Replace the doubts of a live session in one transaction. Epoch 0 in `session` stands for
        any epoch."""

    async def list_expired_doubts(self, limit: int) -> list[tuple[str, Doubts]]:
        """Expired sessions that have doubts. `reap` leaves them until `settle` is called."""

    async def settle(self, session_id: str) -> None:
        """Clear the doubts of an expired session, so that `reap` may delete it.

        Call it after its unreceived leases have been returned."""

    async def epochs(self, session_ids: Sequence[str]) -> dict[str, int]:
        """The epochs of live sessions."""

    async def beat(self, sessions: Sequence[tuple[str, int]], ttl: float) -> dict[str, datetime]:
        """Extend live sessions at their epoch. Returns the new expiry by id; missing ones are lost."""

    async def close(self, session_id: str, epoch: int) -> bool:
        """Delete a session whose worker has said goodbye."""

    async def reap(self) -> int:
        """Delete expired sessions without doubts. Returns how many."""

    async def leases(self, session_id: str) -> dict[str, tuple[int, int]]:
        """The jobs held by a session: token and version by job id."""
