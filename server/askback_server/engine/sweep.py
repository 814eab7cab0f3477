"""The periodic cleanup: retention of ended jobs, expired rows, old partitions of the log.

Before it deletes, it counts what happened (hourly_counts.py). Deadlines are handled by
timers and expired sessions by the keeper; the sweep does the rest.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from time import monotonic

from askback_server.domain.commands import PurgeJob
from askback_server.domain.errors import AskbackError
from askback_server.engine.engine import Engine
from askback_server.engine.hourly_counts import HourlyCounts
from askback_server.engine.periodic import every
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.queue_locks import QueueLocks
from askback_server.ports.sign_outs import SignOutStore
from askback_server.ports.storage import WorkQueue

_log = logging.getLogger("askback.server.engine")

PURGE_BATCH_SIZE = 20
"""Jobs deleted per batch: small enough not to delay other commands."""
FIRST_SECONDS = 10.0
"""Seconds from the start to the first sweep: when clients connect to a new replica, nothing waits for it."""
REST_RATIO = 2.0
"""After each batch the sweep sleeps this many times as long as the batch took, to leave the database to
others."""
LOCK_SECONDS = 60.0
"""Maximum seconds that one replica holds the lock for deleting. A replica that is killed blocks the others
for as long."""
QUEUE = ("", "purge")
"""The name of that lock: no queue has it, because a namespace is never empty."""
MIN_TOKEN_AGE = timedelta(days=7)
"""Minimum time for which a resume token is honoured."""


class Sweep:
    """Sweeps every `interval` seconds."""

    def __init__(
        self,
        engine: Engine,
        queue: WorkQueue,
        clock: DatabaseClock,
        interval: float,
        locks: QueueLocks,
        sign_outs: SignOutStore,
        hours: HourlyCounts,
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._clock = clock
        self._interval = interval
        self._locks = locks
        self._sign_outs = sign_outs
        self._hours = hours

    async def run(self) -> None:
        """Sweep until cancelled. Errors are logged."""
        await asyncio.sleep(min(FIRST_SECONDS, self._interval))
        await every(self._interval, self.sweep, "sweep")

    async def sweep(self) -> None:
        """Sweep once."""
        await self._queue.make_room()
        await self._hours.update()  # before the purge, which deletes types and kinds of what is counted
        purged = await self._purge()
        await self._sign_outs.delete_expired()
        dropped = await self._queue.drop_events(self._clock.now() - MIN_TOKEN_AGE)
        if purged or dropped:
            _log.info("swept", extra={"purged_jobs": purged, "dropped_events": dropped})

    async def _purge(self) -> int:
        """Delete jobs whose retention is over, in small batches with pauses; one replica at a time."""
        total = 0
        more = True
        while more:
            lock = await self._locks.acquire(*QUEUE, 1, LOCK_SECONDS)
            if lock is None:
                break
            try:
                ends = monotonic() + LOCK_SECONDS / 2
                has_time = True
                while more and has_time:
                    done, more = await self._purge_batch()
                    total += done
                    has_time = monotonic() < ends
            finally:
                await self._locks.release(lock)
        return total

    async def _purge_batch(self) -> tuple[int, bool]:
        """Delete one batch, then pause. Returns how many jobs were deleted, and whether there may be more."""
        started = monotonic()
        ids = await self._queue.list_expired(PURGE_BATCH_SIZE)
        done = sum(await asyncio.gather(*(self._purge_one(i) for i in ids)))
        more = len(ids) == PURGE_BATCH_SIZE and done > 0
        if more:
            await asyncio.sleep(REST_RATIO * (monotonic() - started))
        return done, more

    async def _purge_one(self, job_id: str) -> bool:
        try:
            await self._engine.execute(PurgeJob(job_id=job_id))
        except AskbackError as error:
            _log.warning("job %s was not purged: %s", job_id, error, extra={"job_id": job_id})
            return False
        return True
