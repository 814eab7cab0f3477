"""Locks on queues with a limit, over all replicas.

The protocol. Only the replica that holds the lock of a queue (a namespace and a job type) leases its jobs.
With the lock it gets the number of running jobs; it leases no more than the limit leaves, and releases the
lock. Every such lease is guarded by the end of the lock, so a write that arrives late changes nothing. A lock
that was not released can be acquired again `SETTLE_SECONDS` after its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

SETTLE_SECONDS = 25.0
"""Seconds between the end of a lock that was not released and the next one. By then a write that passed its
guard just before the end has been committed, or given up by the database."""


@dataclass(frozen=True, slots=True)
class QueueLock:
    """The right to lease jobs of one queue until a time by the database's clock."""

    lock_id: str
    until: datetime
    running: int
    """Running jobs of the queue, counted after the lock was taken."""


class QueueLocks(Protocol):
    """One lock at a time per queue, over all replicas."""

    async def acquire(self, namespace: str, job_type: str, maximum: int, lasts: float) -> QueueLock | None:
        """Acquire the lock for `lasts` seconds; None while another replica holds it. Running jobs are counted
        up to `maximum`."""

    async def release(self, lock: QueueLock) -> None:
        """Release the lock. Every lease tried under it must have been decided."""
