"""The periodic cleanup: retention, the memory's time to live, old days of the log.

What is exact (deadlines) has timers; what is urgent (dead sessions) has its keeper. The sweep is the
broom.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from askback_server.domain.commands import PurgeJob
from askback_server.domain.errors import AskbackError
from askback_server.engine.engine import Engine
from askback_server.engine.hot_jobs import HotJobs
from askback_server.engine.periodic import every
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.storage import WorkQueue

log = logging.getLogger(__name__)

PURGE = 200
"""Jobs deleted in one batch: small enough that nobody waits for it."""
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
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._hot = hot
        self._clock = clock
        self._interval = interval

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
        total = 0
        while True:
            ids = await self._queue.expired(PURGE)
            done = sum(await asyncio.gather(*(self._purge_one(i) for i in ids)))
            total += done
            if len(ids) < PURGE or not done:
                return total

    async def _purge_one(self, job_id: str) -> bool:
        try:
            await self._engine.execute(PurgeJob(job_id=job_id))
        except AskbackError as error:
            log.warning("job %s was not purged: %s", job_id, error, extra={"job_id": job_id})
            return False
        return True
