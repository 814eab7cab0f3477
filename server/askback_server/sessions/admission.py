"""Limits concurrent work for streams, so that a rush of connections does not delay everything else.

Workers come before views: their leases expire, while a console only waits longer for its list. Within each
limit principals take turns, so that many streams of one principal delay only each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

from askback_server.sessions.fair_semaphore import FairSemaphore

T = TypeVar("T")
MAX_LOAD_WAIT = 2.0
"""Maximum seconds that loading a view waits for workers."""
MAX_READS = 4
"""Concurrent reads for streams. They share one core, and unary calls must run in between."""
MAX_OPENINGS = 256
"""Worker sessions opened concurrently. Those that come together share a write and reads."""
MAX_MESSAGES = 8
"""Messages of console streams, and as many of worker streams, started per iteration of the event loop."""
MAX_LARGE_MESSAGES = 2
"""Large messages serialised per iteration of the event loop. Each takes milliseconds and blocks all other
calls."""


class _SharedRead:
    """A read and the number of views that wait for it."""

    __slots__ = ("task", "waiting")

    task: asyncio.Task[object]

    def __init__(self) -> None:
        self.waiting = 0


class Admission:
    """Semaphores for the work of streams; views wait while worker sessions are being opened."""

    def __init__(self, views: int) -> None:
        self._views = FairSemaphore(views)
        self._openings = FairSemaphore(MAX_OPENINGS)
        self._workers = 0
        self._no_worker = asyncio.Event()
        self._no_worker.set()
        self.reads = FairSemaphore(MAX_READS)
        """Limits reads for calls on streams."""
        self.console_messages = FairSemaphore(MAX_MESSAGES)
        self.worker_messages = FairSemaphore(MAX_MESSAGES)
        self.large_messages = FairSemaphore(MAX_LARGE_MESSAGES)
        self._shared: dict[Hashable, _SharedRead] = {}
        """Reads that have not started."""
        self._running: dict[Hashable, asyncio.Task[object]] = {}
        self.reading = 0
        """Views being loaded."""

    @asynccontextmanager
    async def worker(self, subject: str) -> AsyncIterator[None]:
        """Open or resume a worker's session inside this context."""
        self._workers += 1
        self._no_worker.clear()
        try:
            async with self._openings.slot(subject):
                yield
        finally:
            self._workers -= 1
            if not self._workers:
                self._no_worker.set()

    async def load(self, subject: str, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Read for a view. Views that wait for a read with the same key share it.

        It starts after each of them has called this, so it includes everything committed before. Only one
        such read runs at a time, so in a rush of equal views many wait for the next one.
        """
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _SharedRead()
            shared.task = asyncio.create_task(self._load(subject, key, read))
        shared.waiting += 1
        try:
            return cast(T, await asyncio.shield(shared.task))  # the key stands for one read, of one type
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.task.done():
                if self._shared.get(key) is shared:
                    del self._shared[key]
                shared.task.cancel()

    async def _load(self, subject: str, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        before = self._running.get(key)
        if before is not None:
            await asyncio.wait((before,))
        async with self.view(subject):
            # From here on it may not include what commits.
            self._running[key] = self._shared.pop(key).task
            try:
                return await read()
            finally:
                del self._running[key]

    @asynccontextmanager
    async def view(self, subject: str) -> AsyncIterator[None]:
        """Load one page of a view inside this context."""
        async with self._views.slot(subject):
            if self._workers:
                try:
                    async with asyncio.timeout(MAX_LOAD_WAIT):
                        await self._no_worker.wait()
                except TimeoutError:
                    pass
            self.reading += 1
            try:
                yield
            finally:
                self.reading -= 1
