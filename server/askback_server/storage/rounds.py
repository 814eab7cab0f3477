"""Combines equal calls that are made at the same time, such as those of a thousand workers that reconnect."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from askback_server.domain.errors import StorageUnavailable

A = TypeVar("A")
R = TypeVar("R")


class Rounds(Generic[A, R]):
    """Runs calls in rounds: those that are made during a round are the next one.

    A call that comes alone runs at once. A round begins after its calls were made, so what it reads includes
    everything that was committed before.
    """

    def __init__(self, run: Callable[[Sequence[A]], Awaitable[Sequence[R]]], maximum: int) -> None:
        """`run` returns the results of at most `maximum` calls, in their order."""
        self._run = run
        self._maximum = maximum
        self._waiting: deque[tuple[A, asyncio.Future[R]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def call(self, item: A) -> R:
        """The result for one item. Raises what `run` raises."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._running is None:
            self._running = asyncio.create_task(self._run_all())
        return await result

    async def _run_all(self) -> None:
        try:
            while self._waiting:
                number = min(self._maximum, len(self._waiting))
                taken = [self._waiting.popleft() for _ in range(number)]
                await self._run_round([(item, result) for item, result in taken if not result.done()])
        finally:
            self._running = None
            for _, result in self._waiting:  # only if the task was cancelled, with the loop
                result.cancel()
            self._waiting.clear()

    async def _run_round(self, calls: Sequence[tuple[A, asyncio.Future[R]]]) -> None:
        if not calls:
            return
        try:
            found = await self._run([item for item, _ in calls])
        except Exception as error:
            if len(calls) > 1 and not isinstance(error, StorageUnavailable):
                for call in calls:  # one of them may be the cause
                    await self._run_round([call])
                return
            for _, result in calls:
                if not result.done():
                    result.set_exception(error)
            return
        except BaseException:
            for _, result in calls:
                result.cancel()
            raise
        for (_, result), value in zip(calls, found, strict=True):
            if not result.done():
                result.set_result(value)
