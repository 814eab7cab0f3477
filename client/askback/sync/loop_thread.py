"""The event loop behind askback.sync: one in each process, in a daemon thread, started by the first call."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakSet

from askback._wire.channel_echoes import without_echoes
from askback.errors import Unavailable

T = TypeVar("T")

_LOOK = 1.0
"""Seconds after which a waiting thread looks for signals: one that came as its wait began did not end it."""
_GRACE = 5.0
"""Seconds that a cancelled call, and the end of the process, wait for what is being cleaned up."""


class Closable(Protocol):
    """What holds connections open."""

    async def aclose(self) -> None:
        """Close them. Repeatable."""


class _Reply(Generic[T]):
    """A coroutine's way to its result, which one thread waits for while the loop runs it.

    It has a plain lock, and not a concurrent.futures.Future: an interrupt in the middle of waiting for that
    can leave its lock held, and then the loop would wait without end.
    """

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self._running = threading.Lock()
        self._running.acquire()
        self.ended = False

    def start(self) -> None:
        """Run it. Called in the loop."""
        self._task = asyncio.get_running_loop().create_task(self._work)
        self._task.add_done_callback(lambda _: self._end())

    def cancel(self) -> None:
        """End it. Called in the loop."""
        if self._task is not None:
            self._task.cancel()
        elif not self.ended:  # the interrupt came before `start` was passed on
            self._work.close()
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._running.release()

    def wait(self, timeout: float) -> bool:
        """Wait up to this many seconds for the call to end, and return whether it has."""
        if not self.ended:
            self._running.acquire(timeout=timeout)
        return self.ended

    def result(self) -> T:
        """What it returned, or raise what it raised. Raises Unavailable if it was cancelled."""
        assert self._task is not None
        if self._task.cancelled():
            raise Unavailable("the call was cancelled: the client was closed, or the program ends")
        return self._task.result()


class LoopThread:
    """A running event loop in a daemon thread. Its methods may be called in any other thread."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(without_echoes)
        self._opened: WeakSet[Closable] = WeakSet()
        self._thread = threading.Thread(target=self._run, name="askback.sync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for its result; the caller's context variables hold in it.

        An exception in this thread while it waits, such as KeyboardInterrupt, cancels the coroutine. Raises
        what the coroutine raises; RuntimeError in the loop's own thread, which would wait for itself, and in
        a process that was forked since; Unavailable if the call was cancelled because the program ends.
        """
        if self._process != os.getpid():
            work.close()
            raise RuntimeError(
                "this was opened before the process was forked: open clients, consoles and iterators of "
                "askback.sync after the fork"
            )
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(
                "askback.sync was called in its own background thread, by a listener: give the work to "
                "another thread, for example by a queue.Queue"
            )
        reply = _Reply(work)
        try:
            self._soon(reply.start, contextvars.copy_context())
            while not reply.wait(_LOOK):
                pass
            return reply.result()
        except BaseException:
            if self._loop.is_closed():
                work.close()
                raise Unavailable("the program ends: askback.sync is closed") from None
            if not reply.ended:
                # It was raised in this thread: by Ctrl-C, or by a signal's handler.
                self._soon(reply.cancel)
                reply.wait(_GRACE)
            raise

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the loop without waiting for it, if the loop still runs."""
        try:
            self._soon(lambda: self._loop.create_task(work))
        except RuntimeError:
            work.close()

    def close_at_end(self, opened: Closable) -> None:
        """Close it when the loop is stopped, unless it is gone by then."""
        self._opened.add(opened)

    def stop(self) -> None:
        """End everything that runs, close what was opened, and end the thread."""
        if not self._thread.is_alive():
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        concurrent.futures.wait([ending], _GRACE)
        self._soon(self._loop.stop)
        self._thread.join(_GRACE)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end(self) -> None:
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.gather(*(opened.aclose() for opened in list(self._opened)), return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def _soon(self, callback: Callable[[], object], context: contextvars.Context | None = None) -> None:
        self._loop.call_soon_threadsafe(callback, context=context)


_lock = threading.Lock()
_running: LoopThread | None = None


def loop_thread() -> LoopThread:
    """The loop of this process, started if there is none yet."""
    global _running
    with _lock:
        if _running is None:
            _running = LoopThread()
        return _running


def _stop() -> None:
    global _running
    with _lock:
        running, _running = _running, None
    if running is not None:
        running.stop()


_inherited: list[LoopThread] = []
"""Loops of this process's parents. They are kept: collecting one would close what it shares."""


def _after_fork() -> None:
    """A forked process has the loop of its parent, but not its thread."""
    global _running, _lock
    if _running is not None:
        _inherited.append(_running)
    _running, _lock = None, threading.Lock()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
