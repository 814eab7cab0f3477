"""Deletes jobs whose retention is over: in batches, at a pace that leaves others their turn, one replica at
a time.

Each job is decided by a command of its own, and the engine writes the commands of a batch as one. Of a job
with many rows each command deletes a part (`JobWrite.in_steps`), so no write is large. Nothing is kept about
the progress: whichever replica comes next lists what is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import datetime
from time import monotonic

from askback_server.domain.commands import PurgeJob
from askback_server.domain.deletion_rules import DeletionUnfinished
from askback_server.domain.errors import AskbackError
from askback_server.domain.jobs import Job
from askback_server.engine.engine import Engine
from askback_server.engine.pace import Pace
from askback_server.ports.queue_locks import QueueLocks
from askback_server.ports.storage import WorkQueue

_log = logging.getLogger("askback.server.engine")

LIST_SIZE = 64
"""Jobs listed by one query, decoded at once."""
LOCK_SECONDS = 60.0
"""Maximum seconds that one replica holds the lock for deleting. A replica that is killed blocks the others
for as long."""
QUEUE = ("", "purge")
"""The name of that lock: no queue has it, because a namespace is never empty."""


class Purge:
    """Deletes expired jobs."""

    def __init__(self, engine: Engine, queue: WorkQueue, locks: QueueLocks, pace: Pace) -> None:
        self._engine = engine
        self._queue = queue
        self._locks = locks
        self._pace = pace

    async def run(self) -> int:
        """Delete all expired jobs, as long as no other replica does. Returns how many were deleted."""
        jobs = _Expired(self._queue)
        total = 0
        while await jobs.refill():
            lock = await self._locks.acquire(*QUEUE, 1, LOCK_SECONDS)
            if lock is None:
                break
            try:
                ends = monotonic() + LOCK_SECONDS / 2
                total += await self._delete_batch(jobs)
                while monotonic() < ends and await jobs.refill():
                    total += await self._delete_batch(jobs)
            finally:
                await self._locks.release(lock)
        return total

    async def _delete_batch(self, jobs: _Expired) -> int:
        """Delete some jobs, or a part of a large one. Returns how many jobs were deleted."""
        batch = jobs.take(await self._pace.turn(jobs.taken))
        commands = [PurgeJob(job_id=job.job_id, head=job) for job in batch]
        done = await asyncio.gather(*map(self._engine.execute, commands), return_exceptions=True)
        failed = [e for e in done if e is not None and not isinstance(e, DeletionUnfinished)]
        for failure in failed[:1]:
            if not isinstance(failure, AskbackError):
                raise failure
            _log.warning("%d jobs were not purged: %s", len(failed), failure)
        for job, error in zip(batch, done, strict=True):
            if isinstance(error, DeletionUnfinished):
                jobs.put_back(job)
            elif error is not None:
                jobs.leave(job)
        if len(failed) == len(batch):
            jobs.end()  # the database is away, or too much waits to be written
        return sum(error is None for error in done)


class _Expired:
    """The expired jobs of one run, listed some at a time."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self._jobs: deque[Job] = deque()
        self._since: datetime | None = None
        self._is_last = False
        self._left: set[str] = set()
        self.taken = 0
        """About how many rows the jobs have that were taken last."""

    async def refill(self) -> bool:
        """List more if none is left. Returns whether there are any."""
        if not self._jobs and not self._is_last:
            found = await self._queue.list_expired(LIST_SIZE, self._since)
            self._jobs.extend(job for job in found if job.job_id not in self._left)
            self._is_last = len(found) < LIST_SIZE or not self._jobs
            self._since = found[-1].purge_at if found else None
        return bool(self._jobs)

    def take(self, rows: int) -> list[Job]:
        """The next jobs with about that many rows, at least one."""
        jobs: list[Job] = []
        self.taken = 0
        while self._jobs and (not jobs or self.taken + _rows_of(self._jobs[0]) <= rows):
            jobs.append(self._jobs.popleft())
            self.taken += _rows_of(jobs[-1])
        return jobs

    def put_back(self, job: Job) -> None:
        """A job of which a part remains comes next."""
        self._jobs.appendleft(job)

    def leave(self, job: Job) -> None:
        """Leave a job that could not be deleted to the next run."""
        self._left.add(job.job_id)

    def end(self) -> None:
        """Leave all others to the next run."""
        self._jobs.clear()
        self._is_last = True


def _rows_of(job: Job) -> int:
    """About how many rows a job has: most prompts have one answer."""
    return 1 + 2 * job.rounds + job.checkpoints + job.carried_answers
