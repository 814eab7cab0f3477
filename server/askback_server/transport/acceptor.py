"""The accept loops of a grpc.aio server: one for each method, and one for all other paths.

grpc.aio has a single loop for all methods it does not know by name, and decodes the path of each call there:
a path that is not UTF-8 raises in that loop and shuts the server down, before any of our code sees the call.
And calls of one method wait behind those of all others. Here every method waits in a queue of its own, so a
flood of one does not delay another, and the path of an unknown method is never decoded.
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
"""In the task of a call: resets the call, as soon as its handler has ended too."""

HAS_OWN_LOOPS = hasattr(cygrpc.AioServer, "_make_request_call_future")
"""Whether the installed grpcio asks for the calls of each method separately; 1.85 does."""


class _Reset:
    """Lets go of a call: the task that waits for its end holds it, besides its handler."""

    __slots__ = ("task",)
    task: asyncio.Task[None] | None

    def __call__(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def ended(self, _: asyncio.Task[None]) -> None:
        """The task has ended. Its context holds this object: without the task there is no cycle of them."""
        self.task = None


class _Acceptor(cygrpc.AioServer):  # type: ignore[misc]
    """An AioServer whose futures for the next call never resolve: each accepts calls until the server
    stops."""

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
        return self.loop.create_task(self._accept(method))

    async def _accept(self, method: bytes | None) -> None:
        name = method.decode() if method is not None else ""
        resolver = cygrpc._MethodResolver([], self.handlers)
        while True:
            try:
                # A call without a registered method gets UNIMPLEMENTED, under whatever name.
                call = await (
                    self._request_call() if method is None else self._request_registered_call(method)
                )
            except cygrpc._RequestCallError:
                if not self.is_running():
                    raise
                continue
            handling = cygrpc._handle_rpc(name, resolver, self.interceptors, call, self.loop, False)
            # The task listens for a cancel by the client first, then runs the handler.
            reset = _Reset()
            RESET.set(reset)
            task = self.loop.create_task(cygrpc._schedule_rpc_coro(handling, call, self.loop, name))
            reset.task = task
            self.calls.add(task)
            task.add_done_callback(self.calls.discard)
            task.add_done_callback(reset.ended)
            # The core resets a call that has no references and no status yet.
            del handling, call, reset, task


def aio_server(options: Sequence[tuple[str, int]], interceptors: Sequence[Any] = ()) -> Any:
    """A grpc.aio server. Add handlers by `add_registered_method_handlers` only."""
    if not HAS_OWN_LOOPS:
        return grpc.aio.server(interceptors=list(interceptors), options=list(options))
    # Made without its `__init__`, whose AioServer would be thrown away: grpcio logs that, and by a reference
    # to an object that is gone. What `__init__` adds to the options is for compression and call tracers.
    server: Any = object.__new__(Server)
    server._loop = cygrpc.get_working_loop()
    server._server = _Acceptor(server._loop, interceptors, tuple(options))
    return server
