"""Exact timers: prompt deadlines and the ends of cancel graces.

A timer only makes somebody look: the command it sends is judged by the rules and guarded by the
database's clock, so a timer that fires early, late, twice or on two replicas does no harm.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from askback_server.domain import commands as c
from askback_server.domain.errors import AskbackError
from askback_server.engine.committed import Committed
from askback_server.engine.engine import Engine
from askback_server.ports.clock import Alarm, DatabaseClock
from askback_server.ports.storage import WorkQueue

log = logging.getLogger(__name__)

AHEAD = 5_000
"""How many deadlines are read at once."""
AGAIN = timedelta(seconds=0.5)
"""After a deadline could not be written, for example while the database was away."""


class Timers:
    """A heap of (when, what, job id), filled by commits and by `load`."""

    def __init__(self, engine: Engine, queue: WorkQueue, clock: DatabaseClock, horizon: timedelta) -> None:
        self._engine = engine
        self._queue = queue
        self._clock = clock
        self._horizon = horizon
        self._heap: list[tuple[datetime, str, str]] = []
        self._known: set[tuple[datetime, str, str]] = set()
        self._due = asyncio.Event()
        self._alarm: Alarm | None = None
        self._firing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._heap)

    def committed(self, batch: Sequence[Committed]) -> None:
        """Note the deadlines that a commit made."""
        until = self._clock.now() + self._horizon
        for item in batch:
            if item.deleted or item.job.is_terminal:
                continue
            if item.job.cancel_at is not None and item.job.cancel_at <= until:
                self._add(item.job.cancel_at, "cancel", item.job.job_id)
            for prompt in item.prompts:
                if prompt.is_open and prompt.expires_at is not None and prompt.expires_at <= until:
                    self._add(prompt.expires_at, "prompt", prompt.job_id)

    async def load(self) -> None:
        """Read the deadlines within the horizon: those of other replicas and of before a restart."""
        found = await self._queue.due(self._clock.now() + self._horizon, AHEAD)
        for when, what, job_id in found:
            self._add(when, what, job_id)
        if len(found) == AHEAD:
            # There is more within the horizon: read on when these have fired.
            self._add(found[-1][0], "load", "")

    def _add(self, when: datetime, what: str, job_id: str) -> None:
        entry = (when, what, job_id)
        if entry in self._known:
            return
        self._known.add(entry)
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._set_alarm()

    def _set_alarm(self) -> None:
        """Be woken for the soonest."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._clock.call_at(self._heap[0][0], self._due.set) if self._heap else None

    @property
    def idle(self) -> bool:
        """Whether nothing is due, or being fired."""
        return not self._firing and not (self._heap and self._heap[0][0] <= self._clock.now())

    async def run(self) -> None:
        """Fire what is due until cancelled."""
        try:
            while True:
                self._due.clear()
                self._fire_due()
                self._set_alarm()
                await self._due.wait()
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            for task in self._firing:
                task.cancel()

    def _fire_due(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            self._known.discard(entry)
            task = asyncio.create_task(self._fire(entry[1], entry[2]))
            self._firing.add(task)
            task.add_done_callback(self._firing.discard)

    async def _fire(self, what: str, job_id: str) -> None:
        try:
            if what == "load":
                return await self.load()
            command = c.ExpirePrompts(job_id=job_id) if what == "prompt" else c.EndGrace(job_id=job_id)
            later = await self._engine.execute(command)
        except AskbackError as error:
            log.warning("a timer of job %s was not written: %s", job_id, error, extra={"job_id": job_id})
            self._add(self._clock.now() + AGAIN, what, job_id)
            return
        if isinstance(later, datetime):
            # Our clock was ahead of the database's, or another prompt of the job is next.
            self._add(max(later, self._clock.now() + timedelta(milliseconds=1)), what, job_id)
