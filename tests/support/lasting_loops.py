"""Event loops that tests use one after the other, so that connections can outlive a test.

A connection of asyncpg belongs to the loop in which it was opened, and pytest-asyncio gives each test a new
loop. Here the loop lasts, and everything else ends with the test as before: tasks, asynchronous generators,
threads of the executor, timers, signal handlers, and the threads that watch the loop for a worker.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest


class LastingLoop(asyncio.SelectorEventLoop):
    """A loop that `close()` gives back for the next test."""

    is_lent = False

    def close(self) -> None:
        """End what the test has left in the loop, like `asyncio.Runner`, which has cancelled its tasks."""
        left: Any = self
        for handle in left._scheduled:
            handle.cancel()
        for number in (*left._signal_handlers,):
            self.remove_signal_handler(number)
        self._end_watches()
        self.is_lent = False

    def _end_watches(self) -> None:
        """End the threads of workers that were not closed: they end with a closed loop only. While no timer
        tells them that this loop runs, they take it for blocked, look at the frames of its thread, and so
        keep what these hold in memory."""
        for thread in threading.enumerate():
            target = getattr(thread, "_target", None)
            if isinstance(target, partial) and self in target.args:
                watch: Any = target.func
                watch.__self__.stop()
                thread.join()

    def end(self) -> None:
        """Close the loop."""
        super().close()

    async def shutdown_asyncgens(self) -> None:
        """Close the generators of the test, and take new ones afterwards."""
        await super().shutdown_asyncgens()
        self._asyncgens_shutdown_called = False

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        """End the threads of the test, and start new ones when they are needed."""
        await super().shutdown_default_executor(*timeout)
        self._executor_shutdown_called = False
        self._default_executor = None


_loops: list[LastingLoop] = []


def lend_loop() -> LastingLoop:
    """A loop that is not in use. (While the loop of a module is, its tests may have loops of their own.)"""
    for loop in _loops:
        if not loop.is_lent:
            break
    else:
        loop = LastingLoop()
        _loops.append(loop)
    loop.is_lent = True
    return loop


def end_loops() -> None:
    """Close all loops."""
    while _loops:
        _loops.pop().end()


@pytest.hookimpl(optionalhook=True)  # older versions of pytest-asyncio do not have it, and share nothing
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """For a conftest.py: its tests run in lasting loops.

    One factory for the loops of tests and of modules: where the factory changes between two tests, pytest
    makes the fixtures of the module again.
    """
    return {"lasting": lend_loop}
