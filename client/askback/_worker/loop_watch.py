"""Finds code that blocks a worker's event loop, and names it in the log.

While a job function blocks the loop, no heartbeat is sent and no other job makes progress. The loop records
the time every half second. A thread checks the record, and if it is old, inspects the stack of the loop's
thread.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import selectors
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from types import CodeType, FrameType
from typing import Any

_log = logging.getLogger("askback.worker")

BLOCKED_SECONDS = 1.0
"""Seconds without an iteration of the loop that are worth a warning."""
STILL_BLOCKED_SECONDS = 10.0
"""Seconds after which a warning is logged while the loop is still blocked."""
_TICK_SECONDS = 0.5
_CHECK_SECONDS = 0.25
_TURNS = frozenset({"_run", "run", "run_forever", "run_until_complete"})
_ASYNCIO = os.path.dirname(asyncio.__file__)
_IDLE = (_ASYNCIO, selectors.__file__)
"""Files of the innermost frame when the loop is idle."""
_NOT_THE_CAUSE = (_ASYNCIO, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""Frames of asyncio and of this package are on every stack, so they are never the cause."""


class LoopWatch:
    """Watches the running loop from `start` to `stop`; `functions` are the job functions with their names."""

    def __init__(self, functions: Iterable[tuple[str, Callable[..., Any]]]) -> None:
        self._names = {code: name for name, function in functions if (code := code_of(function))}
        self._noted = monotonic()
        self._culprit = ""
        self._told = False
        self._over = threading.Event()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch the running loop."""
        self._noted = monotonic()
        self._tick(asyncio.get_running_loop())
        watch = functools.partial(self._watch, threading.get_ident(), asyncio.get_running_loop())
        threading.Thread(target=watch, name="askback loop watch", daemon=True).start()

    def stop(self) -> None:
        """Stop watching. May be called repeatedly."""
        self._over.set()
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = monotonic()
        late, culprit = now - self._noted - _TICK_SECONDS, self._culprit
        self._noted, self._culprit, self._told = now, "", False
        if late >= BLOCKED_SECONDS and culprit:
            _log.warning(
                "the event loop was blocked for %.0f s in %s: use asyncio.to_thread for what blocks, or an "
                "async library. No other job went on meanwhile, and no heartbeat was sent",
                late,
                culprit,
            )
        self._timer = loop.call_later(_TICK_SECONDS, self._tick, loop)

    def _watch(self, thread: int, loop: asyncio.AbstractEventLoop) -> None:
        while not self._over.wait(_CHECK_SECONDS) and not loop.is_closed():
            noted = self._noted
            late = monotonic() - noted - _TICK_SECONDS
            if late < BLOCKED_SECONDS / 2:
                continue
            frame = sys._current_frames().get(thread)
            culprit = self._describe(frame) if frame is not None else ""
            del frame  # it keeps the variables of the whole stack, until the next blocked call
            if noted != self._noted or not culprit:
                continue
            self._culprit = culprit
            if late >= STILL_BLOCKED_SECONDS and not self._told:
                self._told = True
                text = (
                    "the event loop has been blocked for %.0f s in %s: use asyncio.to_thread for what blocks"
                )
                _log.warning(text, late, culprit)

    def _describe(self, frame: FrameType) -> str:
        """The code that the thread runs, as `'refund' (/srv/refund.py:12)`; empty for the loop itself."""
        stack = list(_outwards(frame))
        for inner in stack:
            if name := self._names.get(inner.f_code):
                return _place(name, inner)
        if stack and not stack[0].f_code.co_filename.startswith(_IDLE):
            for inner in reversed(stack):
                if not inner.f_code.co_filename.startswith(_NOT_THE_CAUSE) and _runs_in_a_turn(inner):
                    return _place(inner.f_code.co_name, inner)
        return ""


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _runs_in_a_turn(frame: FrameType) -> bool:
    """Whether the loop has called this frame; frames that started the loop are further out."""
    below = (outer.f_code for outer in _outwards(frame.f_back))
    return any(code.co_name in _TURNS and code.co_filename.startswith(_ASYNCIO) for code in below)


def _place(name: str, frame: FrameType) -> str:
    return f"{name!r} ({frame.f_code.co_filename}:{frame.f_lineno})"


def code_of(function: Any) -> CodeType | None:
    """The code of a function, bound method, partial, decorated function or object with `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not inspect.isroutine(function):
        function = type(function).__call__
    return getattr(function, "__code__", None)
