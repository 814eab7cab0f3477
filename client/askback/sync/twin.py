"""Wraps asynchronous methods as synchronous ones with the same arguments, results and errors."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

from askback.sync.loop_thread import LoopThread, loop_thread

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")
_END: Any = object()


class Twin:
    """A synchronous object that delegates to an asynchronous one, its twin."""

    def __init__(self, twin: Any) -> None:
        self._twin = twin

    def _loop(self) -> LoopThread:
        """The loop that runs the twin. The twin's connections are closed when the loop stops."""
        loop = loop_thread()
        loop.close_at_end(self._twin._calls)
        return loop

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the twin and return its result."""
        return self._loop().call(work)


def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Any, P], T]:
    """The synchronous method of an `async def`."""

    @functools.wraps(method)
    def call(self: Twin, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._wait(method(self._twin, *args, **kwargs))

    return _plain(call)


def iterating(
    method: Callable[Concatenate[Any, P], AsyncIterator[T]],
) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """The synchronous method of an async generator."""

    @functools.wraps(method)
    def call(self: Twin, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return items(self._loop(), method(self._twin, *args, **kwargs))

    return _plain(call)


def items(loop: LoopThread, found: AsyncIterator[T]) -> Generator[T, None, None]:
    """Yield the items of an async generator. Leaving the loop early closes the generator."""

    async def following() -> T:
        return await anext(found, _END)

    async def close() -> None:
        await found.aclose()  # type: ignore[attr-defined]

    try:
        while (item := loop.call(following())) is not _END:
            yield item
    finally:
        loop.start(close())


def _plain(call: C) -> C:
    """Remove the mark of a coroutine function that `wraps` has copied."""
    for mark in ("_is_coroutine", "_is_coroutine_mark", "_is_coroutine_marker"):
        vars(call).pop(mark, None)
    return call
