"""Who is let in first when many come at once: workers, whose leases run out; consoles only see less for a
while. And principals in turn, so that a crowd of one delays itself only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from askback_server.sessions.fair_semaphore import FairSemaphore

PATIENCE = 2.0
"""Seconds that the reading of a view waits for workers at most."""
READS = 4
"""Reads of streams that run at once: all run on one core, and unary calls come between them."""
OPENINGS = 8
"""Workers' sessions that are opened at once: each is a write, and other writes come between them."""
MESSAGES = 8
"""Messages of consoles' streams, and as many of workers', that are begun in one turn of the event loop."""


LARGE_MESSAGES = 2
"""Large messages to clients that are made in one turn of the event loop: each takes milliseconds, which every
other call waits for."""


class Admission:
    """Bounds how much of what streams ask for is done at once, and lets workers pass views."""

    def __init__(self, views: int) -> None:
        self._views = FairSemaphore(views)
        self._openings = FairSemaphore(OPENINGS)
        self._workers = 0
        self._no_worker = asyncio.Event()
        self._no_worker.set()
        self.reads = FairSemaphore(READS)
        """Reads that streams ask for."""
        self.console_messages = FairSemaphore(MESSAGES)
        self.worker_messages = FairSemaphore(MESSAGES)
        self.large_messages = FairSemaphore(LARGE_MESSAGES)
        self.reading = 0
        """Views that are read now."""

    @asynccontextmanager
    async def worker(self, subject: str) -> AsyncIterator[None]:
        """A worker's session is being opened or resumed, when it is its principal's turn."""
        self._workers += 1
        self._no_worker.clear()
        try:
            async with self._openings.slot(subject):
                yield
        finally:
            self._workers -= 1
            if not self._workers:
                self._no_worker.set()

    @asynccontextmanager
    async def view(self, subject: str) -> AsyncIterator[None]:
        """One page of a principal's view is being read, when it is its turn."""
        async with self._views.slot(subject):
            if self._workers:
                try:
                    async with asyncio.timeout(PATIENCE):
                        await self._no_worker.wait()
                except TimeoutError:
                    pass
            self.reading += 1
            try:
                yield
            finally:
                self.reading -= 1
