"""The periodic cleanup: retention of ended jobs, expired rows, old partitions of the log.

Before it deletes, it counts what happened (hourly_counts.py) and makes checkpoints (checkpoints.py).
Deadlines are handled by timers and expired sessions by the keeper; the sweep does the rest.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from askback_server.domain.errors import StorageUnavailable
from askback_server.engine.checkpoints import Checkpoints
from askback_server.engine.hourly_counts import HourlyCounts
from askback_server.engine.pace import Pace
from askback_server.engine.periodic import every
from askback_server.engine.purge import Purge
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.sign_outs import SignOutStore
from askback_server.ports.storage import WorkQueue

_log = logging.getLogger("askback.server.engine")

FIRST_SECONDS = 10.0
"""Seconds from the start to the first sweep: when clients connect to a new replica, nothing waits for it."""
EVENTS_PER_ROW = 4
"""Events of the log that are deleted in one step for each row of a job: they lie side by side."""
MIN_TOKEN_AGE = timedelta(days=7)
"""Minimum time for which a resume token is honoured."""


class Sweep:
    """Sweeps every `interval` seconds."""

    def __init__(
        self,
        queue: WorkQueue,
        clock: DatabaseClock,
        interval: float,
        purge: Purge,
        pace: Pace,
        sign_outs: SignOutStore,
        hours: HourlyCounts,
        checkpoints: Checkpoints,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._interval = interval
        self._purge = purge
        self._pace = pace
        self._sign_outs = sign_outs
        self._hours = hours
        self._checkpoints = checkpoints

    async def run(self) -> None:
        """Sweep until cancelled. Errors are logged."""
        await asyncio.sleep(min(FIRST_SECONDS, self._interval))
        await every(self._interval, self.sweep, "sweep")

    async def sweep(self) -> None:
        """Sweep once."""
        await self._queue.make_room()
        await self._hours.update()  # before the purge, which deletes types and kinds of what is counted
        covered = await self._make_checkpoints()
        purged = await self._purge.run()
        await self._sign_outs.delete_expired()
        dropped = await self._drop_events(covered)
        if purged or dropped:
            _log.info("swept", extra={"purged_jobs": purged, "dropped_events": dropped})

    async def _make_checkpoints(self) -> datetime | None:
        """Make checkpoints. Returns until when they cover the log; None if they do not.

        A fault of theirs must not keep the rest from being cleaned up.
        """
        try:
            return await self._checkpoints.update()
        except StorageUnavailable:
            raise
        except Exception:
            _log.exception("no checkpoint was made; the event log is kept until one is")
            return None

    async def _drop_events(self, covered: datetime | None) -> int:
        """Drop what nothing needs any more of the log, as far as checkpoints cover it.

        Returns how many days or rows.
        """
        if covered is None:
            return 0
        keep = min(self._clock.now() - MIN_TOKEN_AGE, covered)
        total = dropped = 0
        while True:
            rows = await self._pace.turn(dropped // EVENTS_PER_ROW)
            dropped = await self._queue.drop_events(keep, EVENTS_PER_ROW * rows)
            total += dropped
            if not dropped:
                return total
