"""So many at once, and principals in turn: one that wants much waits for itself."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSemaphore:
    """A semaphore whose waiters are served by principal in turn, and in order within one."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, subject: str) -> AsyncIterator[None]:
        """A turn of a principal, when it comes."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._wait(subject)
        try:
            yield
        finally:
            self._pass_on()

    async def acquire_for_iteration(self, subject: str) -> None:
        """A turn of a principal that lasts until the event loop has gone round."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._wait(subject)
        asyncio.get_running_loop().call_soon(self._pass_on)

    async def _wait(self, subject: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(subject, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it had come
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            subject, turns = next(iter(self._waiting.items()))
            turn = turns.popleft()
            if turns:
                self._waiting.move_to_end(subject)
            else:
                del self._waiting[subject]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
