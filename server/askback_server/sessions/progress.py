"""Progress reports, coalesced: the newest wins within a short interval, milestones are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from askback_server.domain.commands import ReportProgress
from askback_server.engine.engine import Engine

INTERVAL = 0.2
"""Seconds between two written reports of one job."""


class ProgressWriter:
    """Stands before the engine for progress. Every caller is answered after the write of its own
    report or of a newer one."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float], interval: float = INTERVAL) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._interval = interval
        self._last: dict[tuple[str, int], float] = {}
        self._waiting: dict[tuple[str, int], tuple[ReportProgress, asyncio.Future[int]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def report(self, command: ReportProgress) -> int:
        """Write the report, at once or with a newer one. Returns the job's version after it.

        Raises what the engine raises.
        """
        key = (command.job_id, command.token)
        now = self._monotonic()
        self._forget(now)
        waiting = self._waiting.get(key)
        if command.milestone:
            version = int(await self._engine.execute(command))
            if self._waiting.get(key) is waiting and waiting is not None:
                # An older report that waits must not come after this one.
                del self._waiting[key]
                waiting[1].set_result(version)
            return version
        if waiting is not None:
            self._waiting[key] = (command, waiting[1])
            return await asyncio.shield(waiting[1])
        due = self._last.get(key, 0.0) + self._interval
        self._last[key] = max(now, due)
        if due <= now:
            return int(await self._engine.execute(command))
        reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[key] = (command, reply)
        task = asyncio.create_task(self._write_later(key, due - now))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(reply)

    async def _write_later(self, key: tuple[str, int], delay: float) -> None:
        await asyncio.sleep(delay)
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        command, reply = waiting
        try:
            version = int(await self._engine.execute(command))
        except Exception as error:
            reply.set_exception(error)
            reply.exception()  # callers may be gone; that is no news for the log
        else:
            reply.set_result(version)

    def _forget(self, now: float) -> None:
        if len(self._last) > 10_000:
            self._last = {k: t for k, t in self._last.items() if t + self._interval > now}
