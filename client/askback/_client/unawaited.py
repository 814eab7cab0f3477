"""Coroutines without a truth value, for the methods that ask people.

Any other coroutine is true, so `if job.confirm(...)` without `await` would always approve.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Unawaited(Coroutine[Any, Any, T]):
    """A coroutine for `await`, tasks, `gather` and `wait_for` that raises TypeError as a bool.

    A coroutine that is never awaited warns, as any other does, except after this TypeError.
    """

    __slots__ = ("__weakref__", "_coroutine", "_refused", "_spelling")

    def __init__(self, coroutine: Coroutine[Any, Any, T], spelling: str) -> None:
        self._coroutine = coroutine
        self._spelling = spelling
        self._refused = False

    def __bool__(self) -> NoReturn:
        self._refused = True
        call = self._spelling
        raise TypeError(f"{call}(...) has no answer before it is awaited: write `await {call}(...)`")

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Forward to the coroutine."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Forward to the coroutine."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Forward to the coroutine."""
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        """Forward name, frame and state: tasks show them."""
        if name.startswith("cr_") or name in ("__name__", "__qualname__"):
            return getattr(self._coroutine, name)
        raise AttributeError(f"a call that was not awaited has no {name!r}; is an `await` missing?")

    def __repr__(self) -> str:
        return f"<coroutine {self._spelling}(...)>"

    def __del__(self) -> None:
        if self._refused:
            self._coroutine.close()


def must_await(
    spelling: str,
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Unawaited[T]]]:
    """Decorate an `async def` to return an Unawaited; `spelling` is the call as users write it."""

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Unawaited[T]]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Unawaited[T]:
            return Unawaited(function(*args, **kwargs), spelling)

        # Mark it as an `async def` for mocks and frameworks that check.
        if hasattr(inspect, "markcoroutinefunction"):
            inspect.markcoroutinefunction(call)
        else:
            call._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
        return call

    return decorate
