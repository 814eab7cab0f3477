"""The roll-up: counts what happened by the hour, from the log.

It writes nothing when jobs change, and holds no lock while it reads. `ports/overview.py` says why each event
is counted once.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import monotonic

from askback_server.ports.clock import DatabaseClock
from askback_server.ports.overview import OverviewStore

PAGE_EVENTS = 5_000
"""Events counted by one statement."""
REST_RATIO = 2.0
"""After each page the roll-up sleeps this many times as long as the page took, to leave the database to
others."""
MAX_SECONDS = 60.0
"""Maximum seconds of one update; a long log is counted over several."""


class HourlyCounts:
    """Counts the events since the last update, whichever replica made it."""

    def __init__(self, store: OverviewStore, clock: DatabaseClock, keep: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep

    async def update(self) -> None:
        """Count what is new, and delete what is too old. Raises StorageUnavailable."""
        ends = monotonic() + MAX_SECONDS
        while await self._count_page() and monotonic() < ends:
            pass
        await self._store.delete_before(self._clock.now() - self._keep)

    async def _count_page(self) -> bool:
        """Count one page. Returns whether to go on here: not if another replica counts at the same time."""
        started = monotonic()
        mark = await self._store.mark()
        page = await self._store.count_after(mark.position, PAGE_EVENTS)
        if not await self._store.add(mark, page) or not page.more:
            return False
        await asyncio.sleep(REST_RATIO * (monotonic() - started))
        return True
