"""Limits on how many jobs of a queue run at once, over all replicas.

A lease is made only in a turn (ports/queue_locks.py) that has counted the running jobs. Jobs that wait for
people do not count, and an answer never waits: it may bring one more to run than the limit says, and then
nothing is leased until there is room again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from askback_server.domain.jobs import Job, JobState
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.queue_locks import QueueLocks

QueueKey = tuple[str, str]
"""A namespace and a job type."""

LASTS = 5.0
"""Seconds of a turn; it is given back as soon as its leases are decided."""
TAKEN = timedelta(seconds=0.05)
"""Until a turn is tried again that was another replica's."""
FULL = timedelta(seconds=1)
"""Until a full queue is counted again, if no commit says before that it has room."""


@dataclass(frozen=True, slots=True)
class Places:
    """So many leases may be tried, until a time."""

    free: int
    until: datetime


class Concurrency:
    """The limits, and this replica's turns at the queues that have one."""

    def __init__(self, limits: Mapping[str, int], locks: QueueLocks, clock: DatabaseClock) -> None:
        """`limits` are by `TYPE` or `NAMESPACE:TYPE`; the second wins, and a namespace counts alone."""
        self._limits = limits
        self._locks = locks
        self._clock = clock
        self._closed: dict[QueueKey, datetime] = {}
        """Queues that are not to be looked at until a time: full, or another replica's turn."""
        self._mine: set[QueueKey] = set()
        """Queues at which this replica has a turn, or tries to get one."""
        self._stirred: set[QueueKey] = set()
        """Of those, where a job has stopped running meanwhile, which the count may not have seen."""

    def limit(self, queue: QueueKey) -> int | None:
        """How many of its jobs may run at once; None without a limit."""
        found = self._limits.get(f"{queue[0]}:{queue[1]}")
        return found if found is not None else self._limits.get(queue[1])

    def is_open(self, queue: QueueKey) -> bool:
        """Whether looking for jobs of the queue makes sense now."""
        until = self._closed.get(queue)
        return queue not in self._mine and (until is None or until <= self._clock.now())

    def made_room(self, job: Job) -> bool:
        """Whether a commit's job may have made room: it was leased once, and does not run now."""
        queue = job.namespace, job.job_type
        if not job.token or job.state is JobState.RUNNING or self.limit(queue) is None:
            return False
        if queue in self._mine:
            self._stirred.add(queue)
        return self._closed.pop(queue, None) is not None

    def opens(self, queue: QueueKey) -> datetime | None:
        """When it is worth looking at a closed queue again."""
        return self._closed.get(queue)

    @asynccontextmanager
    async def turn(self, queue: QueueKey, most: int) -> AsyncIterator[Places | None]:
        """A turn at leasing up to `most` jobs of the queue. None if there is no place, or another replica
        has the turn. Raises StorageUnavailable."""
        limit = self.limit(queue)
        assert limit is not None
        self._mine.add(queue)
        try:
            lock = await self._locks.acquire(*queue, limit, LASTS)
            if lock is None:
                self._closed[queue] = self._clock.now() + TAKEN
                yield None
                return
            try:
                free = min(most, limit - lock.running)
                if free < most:
                    self._closed[queue] = self._clock.now() + FULL
                yield Places(free, lock.until) if free > 0 else None
            finally:
                await self._locks.release(lock)
        finally:
            self._mine.discard(queue)
            if queue in self._stirred:
                self._stirred.discard(queue)
                self._closed.pop(queue, None)
