"""What an asking method returns before `await`: a coroutine that refuses to be a yes.

Any object is true, so `if job.confirm(...)` without `await` would approve whatever people say.
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
    """A coroutine for `await`, tasks, `gather` and `wait_for`, as a bool a TypeError.

    A coroutine that is never awaited warns, as any other does; not if its use as a bool was refused, which
    says so already.
    """

    __slots__ = ("__weakref__", "_coroutine", "_refused", "_spelling")

    def __init__(self, coroutine: Coroutine[Any, Any, T], spelling: str) -> None:
        self._coroutine = coroutine
        self._spelling = spelling
        self._refused = False

    def __bool__(self) -> NoReturn:
        self._refused = True
        said = self._spelling
        raise TypeError(f"{said}(...) has no answer before it is awaited: write `await {said}(...)`")

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """As of any coroutine."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """As of any coroutine."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """As of any coroutine."""
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        """Name, frame and state of the coroutine: tasks show them."""
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
    """Decorate an `async def` so that it returns an Unawaited; `spelling` is how callers write the call."""

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Unawaited[T]]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Unawaited[T]:
            return Unawaited(function(*args, **kwargs), spelling)

        # It counts as an `async def` for mocks and frameworks that look.
        if hasattr(inspect, "markcoroutinefunction"):
            inspect.markcoroutinefunction(call)
        else:
            call._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
        return call

    return decorate
