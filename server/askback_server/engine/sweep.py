"""The periodic cleanup: retention, the memory's time to live, old days of the log.

What is exact (deadlines) has timers; what is urgent (dead sessions) has its keeper. The sweep is the
broom.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from time import monotonic

from askback_server.domain.commands import PurgeJob
from askback_server.domain.errors import AskbackError
from askback_server.engine.engine import Engine
from askback_server.engine.hot_jobs import HotJobs
from askback_server.engine.periodic import every
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.queue_locks import QueueLocks
from askback_server.ports.storage import WorkQueue

log = logging.getLogger(__name__)

PURGE = 20
"""Jobs deleted in one batch: small enough that nobody waits for it."""
REST = 2.0
"""For so many times as long as a batch took the sweep rests: the rest of the time is other people's."""
TURN = 60.0
"""Seconds of a turn at deleting; a replica that is killed in one keeps the others from it for as long."""
QUEUE = ("", "purge")
"""Names the turn; a namespace is never empty."""
KEEP_TOKENS = timedelta(days=7)
"""How long a resume token is honoured at least."""


class Sweep:
    """`run()` sweeps every `interval` seconds; `sweep()` does it once."""

    def __init__(
        self,
        engine: Engine,
        queue: WorkQueue,
        hot: HotJobs,
        clock: DatabaseClock,
        interval: float,
        locks: QueueLocks,
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._hot = hot
        self._clock = clock
        self._interval = interval
        self._locks = locks

    async def run(self) -> None:
        """Sweep until cancelled; an error is logged and the next turn comes."""
        await every(self._interval, self.sweep, "sweep")

    async def sweep(self) -> None:
        """Once through everything."""
        self._hot.sweep()
        await self._queue.make_room()
        purged = await self._purge()
        dropped = await self._queue.drop_events(self._clock.now() - KEEP_TOKENS)
        if purged or dropped:
            log.info("swept", extra={"purged_jobs": purged, "dropped_events": dropped})

    async def _purge(self) -> int:
        """Delete what has been kept for long enough, in small batches with rests; one replica at a time."""
        total = 0
        more = True
        while more:
            lock = await self._locks.acquire(*QUEUE, 1, TURN)
            if lock is None:
                break
            try:
                ends = monotonic() + TURN / 2
                in_turn = True
                while more and in_turn:
                    done, more = await self._purge_some()
                    total += done
                    in_turn = monotonic() < ends
            finally:
                await self._locks.release(lock)
        return total

    async def _purge_some(self) -> tuple[int, bool]:
        """One batch and the rest after it: how many went, and whether there may be more."""
        started = monotonic()
        ids = await self._queue.expired(PURGE)
        done = sum(await asyncio.gather(*(self._purge_one(i) for i in ids)))
        more = len(ids) == PURGE and done > 0
        if more:
            await asyncio.sleep(REST * (monotonic() - started))
        return done, more

    async def _purge_one(self, job_id: str) -> bool:
        try:
            await self._engine.execute(PurgeJob(job_id=job_id))
        except AskbackError as error:
            log.warning("job %s was not purged: %s", job_id, error, extra={"job_id": job_id})
            return False
        return True
