"""Turns: who may lease jobs of a queue that has a limit.

The limit of a queue (a namespace and a job type) holds over all replicas because only the one whose lock
it is leases the queue's jobs: it counts the running ones, leases no more than the limit leaves, and gives
the lock back. Every such lease is guarded by the lock's end, so one that comes late changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

SETTLES = 25.0
"""Seconds after a lock's end until another may begin: a write that passed its guard just before the end
has been committed, or given up by the database, by then. Only for queue_locks that were not given back."""


@dataclass(frozen=True, slots=True)
class QueueLock:
    """The right to lease jobs of one queue until a time of the database's clock."""

    lock_id: str
    until: datetime
    running: int
    """Jobs of the queue that run, counted after the lock had begun."""


class QueueLocks(Protocol):
    """One lock at a time for each queue, over all replicas."""

    async def acquire(self, namespace: str, job_type: str, most: int, lasts: float) -> QueueLock | None:
        """A lock of so many seconds; None while it is another's. Running jobs are counted up to `most`."""

    async def release(self, lock: QueueLock) -> None:
        """The lock is over, and all leases that were tried in it are decided."""
