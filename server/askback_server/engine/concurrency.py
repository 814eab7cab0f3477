"""Limits the number of running jobs per queue, over all replicas.

A queue is a namespace and a job type. To lease from a queue with a limit, a replica first takes the queue's
lock (`ports/queue_locks.py`), which returns the number of running jobs counted under the lock. It leases at
most the difference to the limit and releases the lock. Each of these leases is guarded by the end of the
lock, so a delayed write of an expired lock has no effect.

Jobs that wait for people do not count as running. An answer is never delayed by a limit: it may return one
job more to RUNNING than the limit allows. Then nothing is leased until the count is below the limit again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from askback_server.ports.clock import DatabaseClock
from askback_server.ports.queue_locks import QueueLocks

QueueKey = tuple[str, str]
"""A namespace and a job type."""

LOCK_SECONDS = 5.0
"""Maximum seconds that a lock is held; normally it is released as soon as its leases are decided."""
LOCK_RETRY_DELAY = timedelta(seconds=0.05)
"""Wait before retrying a lock that another replica holds."""
RECOUNT_DELAY = timedelta(seconds=1)
"""Wait before counting a full queue again, unless a commit reports room earlier."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The number of leases that may be tried under a lock, and the time at which the lock ends."""

    count: int
    until: datetime


class Concurrency:
    """The configured limits, and the locks that this replica holds or tries to take."""

    def __init__(self, limits: Mapping[str, int], locks: QueueLocks, clock: DatabaseClock) -> None:
        """`limits` maps `TYPE` or `NAMESPACE:TYPE` to a number; the latter takes precedence. Each namespace
        is counted separately, also under a `TYPE` key."""
        self._limits = limits
        self._locks = locks
        self._clock = clock
        self._closed: dict[QueueKey, datetime] = {}
        """Queues not to be scanned until a time: they are full, or another replica holds the lock."""
        self._locked_here: set[QueueKey] = set()
        """Queues whose lock this replica holds or is taking."""
        self._room_made: set[QueueKey] = set()
        """Those of `_locked_here` where a job stopped running meanwhile; the count under the lock may have
        missed it."""

    def limit(self, queue: QueueKey) -> int | None:
        """The limit of a queue; None if it has none."""
        found = self._limits.get(f"{queue[0]}:{queue[1]}")
        return found if found is not None else self._limits.get(queue[1])

    def is_open(self, queue: QueueKey) -> bool:
        """Whether the queue may be scanned now."""
        until = self._closed.get(queue)
        return queue not in self._locked_here and (until is None or until <= self._clock.now())

    def note_freed(self, queue: QueueKey) -> bool:
        """Take note that a job of a queue had a lease and does not run any more. Returns True if it reopens a
        full queue."""
        if self.limit(queue) is None:
            return False
        if queue in self._locked_here:
            self._room_made.add(queue)
        return self._closed.pop(queue, None) is not None

    def reopens_at(self, queue: QueueKey) -> datetime | None:
        """The time at which a closed queue is worth a scan again; None if it is open."""
        return self._closed.get(queue)

    @asynccontextmanager
    async def lock_queue(self, queue: QueueKey, maximum: int) -> AsyncIterator[Allowance | None]:
        """Hold the queue's lock while leasing up to `maximum` jobs. Yields None if the queue is full, or if
        another replica holds the lock. Raises StorageUnavailable."""
        limit = self.limit(queue)
        assert limit is not None
        self._locked_here.add(queue)
        try:
            lock = await self._locks.acquire(*queue, limit, LOCK_SECONDS)
            if lock is None:
                self._closed[queue] = self._clock.now() + LOCK_RETRY_DELAY
                yield None
                return
            try:
                free = min(maximum, limit - lock.running)
                if free < maximum:
                    self._closed[queue] = self._clock.now() + RECOUNT_DELAY
                yield Allowance(free, lock.until) if free > 0 else None
            finally:
                await self._locks.release(lock)
        finally:
            self._locked_here.discard(queue)
            if queue in self._room_made:
                self._room_made.discard(queue)
                self._closed.pop(queue, None)
