"""A semaphore that is fair between principals: one with many waiters delays only its own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSemaphore:
    """A semaphore with `maximum` slots. Waiters are served by principal in turn, and in order within a
    principal."""

    def __init__(self, maximum: int) -> None:
        self._free = maximum
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, subject: str) -> AsyncIterator[None]:
        """Hold a slot inside this context."""
        await self._acquire(subject)
        try:
            yield
        finally:
            self._release()

    async def acquire_for_iteration(self, subject: str) -> None:
        """Acquire a slot that is released at the next iteration of the event loop."""
        await self._acquire(subject)
        asyncio.get_running_loop().call_soon(self._release)

    async def _acquire(self, subject: str) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(subject, deque()).append(slot)
        try:
            await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled():
                self._release()  # the slot was already granted
            raise

    def _release(self) -> None:
        while self._waiting:
            subject, slots = next(iter(self._waiting.items()))
            slot = slots.popleft()
            if slots:
                self._waiting.move_to_end(subject)
            else:
                del self._waiting[subject]
            if not slot.done():
                slot.set_result(None)
                return
        self._free += 1
