"""An event for the objects that exist once for each stream."""

from __future__ import annotations

import asyncio


class SmallEvent:
    """Like `asyncio.Event`, in a tenth of its memory.

    An idle stream waits for several events, and each of asyncio's has a deque of 760 bytes.
    """

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Whether `set` was called after the last `clear`."""
        return self._is_set

    def set(self) -> None:
        """Wake all tasks that wait. Until `clear`, `wait` returns at once."""
        if self._is_set:  # then no task waits
            return
        self._is_set = True
        waiting, self._waiting = self._waiting, ()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Let `wait` wait for the next `set`."""
        self._is_set = False

    async def wait(self) -> None:
        """Return when the event is set, at once if it is."""
        if self._is_set:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting = (*self._waiting, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            self._waiting = tuple(other for other in self._waiting if other is not waiter)
            raise
