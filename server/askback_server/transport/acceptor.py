"""The accept loops of a grpc.aio server: one or more for each method, and for all other paths.

grpc.aio has one loop for all methods that are not registered by name, and decodes the path of each call in
it: a path that is not UTF-8 raises in that loop and shuts the server down before any of our code runs. Calls
of one method also wait behind those of all others. Here every method has its own queue, so that a flood of
calls to one method does not delay another, and the path of an unknown method is never decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import grpc
from grpc._cython import cygrpc
from grpc.aio._server import Server

RESET: ContextVar[Callable[[], None]] = ContextVar("askback_reset")
"""Set in the task of a call: a function that resets the call once its handler has ended."""

REQUESTED = 32
"""Calls of one method that are requested from gRPC's core at once, once it has had some. With one request
the core hands over a single call in each round of its queue. While the streams of a fan-out write that is a
round of a thousand completions, so each of a hundred prompts had a fan-out of its own: up to 81 messages
for each of a thousand consoles, and 2 or 3 with 32 (`make bench-full CASES=burst`). A
method without calls has one request: 32 for each took half of the CPU time of a start and a stop."""

HAS_OWN_LOOPS = hasattr(cygrpc.AioServer, "_make_request_call_future")
"""Whether the installed grpcio requests the calls of each method separately, as 1.85 does."""


class _Reset:
    """Resets a call by cancelling the task that waits for its end: only it and the handler hold the call."""

    __slots__ = ("task",)
    task: asyncio.Task[None] | None

    def __call__(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def release(self, _: asyncio.Task[None]) -> None:
        """Drop the ended task: its context holds this object, which would be a cycle."""
        self.task = None


class _Acceptor(cygrpc.AioServer):  # type: ignore[misc]
    """An AioServer whose futures for the next call are tasks that accept calls until the server stops."""

    # `Any`: the types of grpc's Cython classes are not known to mypy.
    def __init__(self, loop: asyncio.AbstractEventLoop, interceptors: Sequence[Any], options: Any) -> None:
        super().__init__(loop, None, (), interceptors, options, None)
        self.loop = loop
        self.interceptors = tuple(interceptors)
        self.handlers: dict[str, Any] = {}
        self.calls: set[asyncio.Task[None]] = set()

    def add_registered_method_handlers(self, method_handlers: dict[str, Any]) -> None:
        """Add the handlers of methods, by path."""
        self.handlers.update(method_handlers)
        super().add_registered_method_handlers(method_handlers)

    def _make_request_call_future(self, method: bytes | None) -> asyncio.Task[None]:
        return self._start(method, REQUESTED)

    def _start(self, method: bytes | None, most: int) -> asyncio.Task[None]:
        task = self.loop.create_task(self._accept(method, most))
        task.add_done_callback(_take_error)
        return task

    async def _accept(self, method: bytes | None, most: int) -> None:
        """Accept calls of a method, with at most `most` requests at once. Each call doubles their number.

        Raises the error of the request when the server stops, as grpcio expects.
        """
        others: list[asyncio.Task[None]] = []
        name = method.decode() if method is not None else ""
        resolver = cygrpc._MethodResolver([], self.handlers)
        while True:
            try:
                # A call without a registered method gets UNIMPLEMENTED, whatever its path is.
                call = await (
                    self._request_call() if method is None else self._request_registered_call(method)
                )
            except cygrpc._RequestCallError:
                if not self.is_running():
                    await asyncio.gather(*others, return_exceptions=True)
                    raise
                continue
            if most > 1:
                others.append(self._start(method, most // 2))
                most -= most // 2
            handling = cygrpc._handle_rpc(name, resolver, self.interceptors, call, self.loop, False)
            # The task first listens for a cancel by the client, then runs the handler.
            reset = _Reset()
            RESET.set(reset)
            task = self.loop.create_task(cygrpc._schedule_rpc_coro(handling, call, self.loop, name))
            reset.task = task
            self.calls.add(task)
            task.add_done_callback(self.calls.discard)
            task.add_done_callback(reset.release)
            # gRPC's core resets a call without a status once nothing refers to it.
            del handling, call, reset, task


def _take_error(task: asyncio.Task[None]) -> None:
    """Take the error of the server's stop, which asyncio would log if it is no longer waited for."""
    if not task.cancelled():
        task.exception()


# Any: grpc-stubs knows neither the internals of grpcio nor `add_registered_method_handlers`.
def aio_server(options: Sequence[tuple[str, int]], interceptors: Sequence[Any] = ()) -> Any:
    """A grpc.aio server. Add handlers only by its `add_registered_method_handlers`."""
    if not HAS_OWN_LOOPS:
        return grpc.aio.server(interceptors=list(interceptors), options=list(options))
    # Without its `__init__`, which would create an AioServer to be thrown away: grpcio logs that, through a
    # reference to a deleted object. `__init__` adds options for compression and call tracers only.
    server: Any = object.__new__(Server)
    server._loop = cygrpc.get_working_loop()
    server._server = _Acceptor(server._loop, interceptors, tuple(options))
    return server
