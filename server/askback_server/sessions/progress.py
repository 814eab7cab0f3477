"""Progress reports, coalesced: the newest wins within a short interval, milestones are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from askback_server.domain.commands import ReportProgress
from askback_server.domain.errors import AskbackError
from askback_server.domain.replies import JobVersion
from askback_server.engine.engine import Engine

INTERVAL = 0.2
"""Seconds between two written reports of one job."""

_Key = tuple[str, int]
"""A job and the token of its lease."""


@dataclass(slots=True)
class _Waiting:
    """The newest report of a job that is not written yet, and who hears of it."""

    command: ReportProgress
    reply: asyncio.Future[JobVersion]
    timer: asyncio.TimerHandle


class ProgressWriter:
    """Stands before the engine for progress. Every caller is answered after the write of its own
    report or of a newer one. Nothing of it waits for the loop to turn: what a worker says next, the
    end of the job for example, is queued behind its reports."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float], interval: float = INTERVAL) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._interval = interval
        self._last: dict[_Key, float] = {}
        self._waiting: dict[_Key, _Waiting] = {}

    def report(self, command: ReportProgress) -> asyncio.Future[JobVersion]:
        """Write the report, at once or with a newer one. The future has the job's version after it.

        Raises what the engine raises, or gives it through the future.
        """
        key = (command.job_id, command.token)
        if command.milestone:
            return self._overtake(key, command)
        now = self._monotonic()
        self._forget(now)
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.command = command
            return asyncio.shield(waiting.reply)
        due = self._last.get(key, 0.0) + self._interval
        self._last[key] = max(now, due)
        if due <= now:
            return self._engine.submit(command)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(due - now, self.flush, *key)
        waiting = self._waiting[key] = _Waiting(command, loop.create_future(), timer)
        return asyncio.shield(waiting.reply)

    def flush(self, job_id: str, token: int) -> None:
        """Queue what waits of a job now: its time has come, or the job is about to end."""
        waiting = self._waiting.pop((job_id, token), None)
        if waiting is not None:
            waiting.timer.cancel()
            self._write(waiting)

    def _write(self, waiting: _Waiting) -> None:
        try:
            written = self._engine.submit(waiting.command)
        except AskbackError as error:
            _answer(waiting, error)
        else:
            written.add_done_callback(lambda done: _answer(waiting, done.exception() or done.result()))

    def _overtake(self, key: _Key, command: ReportProgress) -> asyncio.Future[JobVersion]:
        """A milestone: an older report that waits must not come after it, and need not come at all."""
        written: asyncio.Future[JobVersion] = self._engine.submit(command)
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return written
        waiting.timer.cancel()
        written.add_done_callback(lambda done: self._overtaken(waiting, done))
        return asyncio.shield(written)  # who goes away must not make the older one come after it

    def _overtaken(self, waiting: _Waiting, milestone: asyncio.Future[JobVersion]) -> None:
        if milestone.exception() is not None:
            self._write(waiting)
        else:
            _answer(waiting, milestone.result())

    def _forget(self, now: float) -> None:
        if len(self._last) > 10_000:
            self._last = {k: t for k, t in self._last.items() if t + self._interval > now}


def _answer(waiting: _Waiting, outcome: JobVersion | BaseException) -> None:
    if isinstance(outcome, BaseException):
        waiting.reply.set_exception(outcome)
        waiting.reply.exception()  # callers may be gone; that is no news for the log
    else:
        waiting.reply.set_result(outcome)
