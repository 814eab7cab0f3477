"""Who is let in first when many come at once: workers, whose leases run out; consoles only see less for a
while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

PATIENCE = 2.0
"""Seconds that the reading of a view waits for workers at most."""

READS = 16
"""Reads of streams that run at once."""


class Admission:
    """Bounds how many views are read from the database at once, and lets workers pass them."""

    def __init__(self, views: int) -> None:
        self._views = asyncio.Semaphore(views)
        self._workers = 0
        self._no_worker = asyncio.Event()
        self._no_worker.set()
        self.reads = asyncio.Semaphore(READS)
        """Reads that streams ask for: a thousand streams that do must not hold up calls of others."""
        self.reading = 0
        """Views that are read now."""

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A worker's session is being opened or resumed."""
        self._workers += 1
        self._no_worker.clear()
        try:
            yield
        finally:
            self._workers -= 1
            if not self._workers:
                self._no_worker.set()

    @asynccontextmanager
    async def view(self) -> AsyncIterator[None]:
        """One page of a view is being read, when it is its turn."""
        async with self._views:
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
