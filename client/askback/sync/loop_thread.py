"""The event loop of askback.sync: one per process, in a daemon thread, started by the first call."""

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

_SIGNAL_CHECK_SECONDS = 1.0
"""Seconds between two checks for signals: a signal at the beginning of a wait does not interrupt it."""
_CLEANUP_SECONDS = 5.0
"""Seconds that a cancelled call, and the end of the process, wait for cleanup."""


class Closable(Protocol):
    """An owner of connections."""

    async def aclose(self) -> None:
        """Close them. May be called repeatedly."""


class _Reply(Generic[T]):
    """The result of a coroutine that runs in the loop while one thread waits for it.

    It uses a plain lock instead of a concurrent.futures.Future: an interrupt during the wait for a Future can
    leave its lock held, and the loop would then block without end.
    """

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self._running = threading.Lock()
        self._running.acquire()
        self.ended = False

    def start(self) -> None:
        """Start the coroutine. Called in the loop."""
        self._task = asyncio.get_running_loop().create_task(self._work)
        self._task.add_done_callback(lambda _: self._end())

    def cancel(self) -> None:
        """Cancel the coroutine. Called in the loop."""
        if self._task is not None:
            self._task.cancel()
        elif not self.ended:  # the interrupt came before the loop called `start`
            self._work.close()
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._running.release()

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the end, and return whether the coroutine has ended."""
        if not self.ended:
            self._running.acquire(timeout=timeout)
        return self.ended

    def result(self) -> T:
        """Return or raise the coroutine's result. Raises Unavailable if it was cancelled."""
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
        """Run a coroutine in the loop, with the caller's context variables, and wait for its result.

        An exception in the waiting thread, such as KeyboardInterrupt, cancels the coroutine. Raises the
        errors of the coroutine; RuntimeError in the loop's own thread, which would deadlock, and in a forked
        child of this process; Unavailable if the call was cancelled because the program ends.
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
            while not reply.wait(_SIGNAL_CHECK_SECONDS):
                pass
            return reply.result()
        except BaseException:
            if self._loop.is_closed():
                work.close()
                raise Unavailable("the program ends: askback.sync is closed") from None
            if not reply.ended:
                # The exception was raised in this thread, by Ctrl-C or by a signal handler.
                self._soon(reply.cancel)
                reply.wait(_CLEANUP_SECONDS)
            raise

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the loop without waiting for it, if the loop still runs."""
        try:
            self._soon(lambda: self._loop.create_task(work))
        except RuntimeError:
            work.close()

    def close_at_end(self, opened: Closable) -> None:
        """Close the object when the loop is stopped, unless it has been garbage-collected."""
        self._opened.add(opened)

    def stop(self) -> None:
        """Cancel all tasks, close all registered objects, and end the thread."""
        if not self._thread.is_alive():
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        concurrent.futures.wait([ending], _CLEANUP_SECONDS)
        self._soon(self._loop.stop)
        self._thread.join(_CLEANUP_SECONDS)
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
    """The loop of this process; starts it if needed."""
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
"""Loops of parent processes. Keep them: garbage collection would close their shared file descriptors."""


def _after_fork() -> None:
    """Forget the parent's loop: its thread does not exist in the child."""
    global _running, _lock
    if _running is not None:
        _inherited.append(_running)
    _running, _lock = None, threading.Lock()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
