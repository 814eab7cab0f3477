"""Coalesces progress reports: within a short interval only the newest is written; milestones are always
written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from askback_server.domain.commands import ReportProgress
from askback_server.domain.errors import AskbackError
from askback_server.domain.replies import JobVersion
from askback_server.engine.engine import Engine

INTERVAL_SECONDS = 0.2
"""Minimum seconds between two writes for one job."""

_Key = tuple[str, int]
"""A job id and the token of its lease."""


@dataclass(slots=True)
class _Pending:
    """The newest unwritten report of a job, and the future shared by its callers."""

    command: ReportProgress
    reply: asyncio.Future[JobVersion]
    timer: asyncio.TimerHandle


class ProgressWriter:
    """Passes progress reports to the engine.

    Each caller is answered after its own report or a newer one is written. Commands are submitted
    synchronously, so that a later command of the worker, for example the end of the job, is queued behind its
    reports.
    """

    def __init__(
        self, engine: Engine, monotonic: Callable[[], float], interval: float = INTERVAL_SECONDS
    ) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._interval = interval
        self._last: dict[_Key, float] = {}
        self._waiting: dict[_Key, _Pending] = {}

    def report(self, command: ReportProgress) -> asyncio.Future[JobVersion]:
        """Write a report, at once or with a newer one. The future gets the job's version after the write.

        Errors of the engine are raised, or set on the future.
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
        waiting = self._waiting[key] = _Pending(command, loop.create_future(), timer)
        return asyncio.shield(waiting.reply)

    def flush(self, job_id: str, token: int) -> None:
        """Submit the pending report of a job now: its time has come, or the job is about to end."""
        waiting = self._waiting.pop((job_id, token), None)
        if waiting is not None:
            waiting.timer.cancel()
            self._write(waiting)

    def _write(self, waiting: _Pending) -> None:
        try:
            written = self._engine.submit(waiting.command)
        except AskbackError as error:
            _set_reply(waiting, error)
        else:
            written.add_done_callback(lambda done: _set_reply(waiting, done.exception() or done.result()))

    def _overtake(self, key: _Key, command: ReportProgress) -> asyncio.Future[JobVersion]:
        """Write a milestone. A pending older report must not be written after it, and may be left out."""
        written: asyncio.Future[JobVersion] = self._engine.submit(command)
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return written
        waiting.timer.cancel()
        written.add_done_callback(lambda done: self._after_milestone(waiting, done))
        return asyncio.shield(written)  # a cancelled caller must not cause the older one to be written

    def _after_milestone(self, waiting: _Pending, milestone: asyncio.Future[JobVersion]) -> None:
        if milestone.exception() is not None:
            self._write(waiting)
        else:
            _set_reply(waiting, milestone.result())

    def _forget(self, now: float) -> None:
        if len(self._last) > 10_000:
            self._last = {k: t for k, t in self._last.items() if t + self._interval > now}


def _set_reply(waiting: _Pending, outcome: JobVersion | BaseException) -> None:
    if isinstance(outcome, BaseException):
        waiting.reply.set_exception(outcome)
        waiting.reply.exception()  # mark as retrieved: callers may be gone
    else:
        waiting.reply.set_result(outcome)
