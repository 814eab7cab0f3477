"""Exact timers: escalation steps, reminders and deadlines, and the ends of cancel graces.

A timer only makes somebody look: the command it sends is judged by the rules and guarded by the
database's clock, so a timer that fires early, late, twice or on two replicas does no harm.

Every replica knows every near deadline, whoever made it. Commits and the feed bring them at once; and
a look at the database, twice in a second, finds what neither has told: deadlines of before a restart,
those that were far away, and those that a replica made which died before the feed could say so.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from askback_server.domain import commands as c
from askback_server.domain.errors import AskbackError, StorageUnavailable
from askback_server.engine.committed import Committed
from askback_server.engine.engine import Engine
from askback_server.ports.clock import Alarm, DatabaseClock
from askback_server.ports.storage import WorkQueue

log = logging.getLogger(__name__)

LOOK = 0.5
"""Seconds between two looks."""
AHEAD = timedelta(seconds=1.5)
"""How far a look reaches: to the one after the next, so that what it finds is fired on time."""
MOST = 5_000
"""How many deadlines are read at once."""
AGAIN = timedelta(seconds=0.5)
"""After a deadline could not be written, for example while the database was away."""


class Timers:
    """A heap of (when, what, job id), filled by commits and by `load`.

    Of what commits bring, that within `horizon` is kept; looking finds the rest when it is near.
    """

    def __init__(self, engine: Engine, queue: WorkQueue, clock: DatabaseClock, horizon: timedelta) -> None:
        self._engine = engine
        self._queue = queue
        self._clock = clock
        self._horizon = horizon
        self._heap: list[tuple[datetime, str, str]] = []
        self._known: set[tuple[datetime, str, str]] = set()
        self._due = asyncio.Event()
        self._alarm: Alarm | None = None
        self._firing: dict[tuple[str, str], asyncio.Task[datetime | None]] = {}
        """By (what, job id). Such a job needs no other timer: the reply says when to come again."""

    def __len__(self) -> int:
        return len(self._heap)

    def committed(self, batch: Sequence[Committed]) -> None:
        """Note the deadlines that a commit made."""
        until = self._clock.now() + self._horizon
        for item in batch:
            job = item.job
            if item.deleted or job.is_terminal:
                continue
            if job.cancel_at is not None and job.cancel_at <= until:
                self._add(job.cancel_at, "cancel", job.job_id)
            if (at := job.due_at) is not None and at <= until:
                self._add(at, "due", job.job_id)
            for prompt in item.prompts:
                if prompt.is_open and (at := prompt.due_at) is not None and at <= until:
                    self._add(at, "due", prompt.job_id)

    async def load(self) -> None:
        """Read what is due soon by the database's clock, and what that clock says."""
        asked = self._clock.now()
        now, found = await self._queue.due(AHEAD, MOST)
        self._clock.compare(asked, now)
        for when, what, job_id in found:
            self._add(when, what, job_id)
        if len(found) == MOST:
            # There is more: read on when these have fired.
            self._add(found[-1][0], "load", "")

    def _add(self, when: datetime, what: str, job_id: str) -> None:
        entry = (when, what, job_id)
        if entry in self._known:
            return
        if (what, job_id) in self._firing and when <= self._clock.now():
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
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_looking())
                while True:
                    self._due.clear()
                    self._fire_due()
                    self._set_alarm()
                    await self._due.wait()
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            for task in self._firing.values():
                task.cancel()

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.load()
            except StorageUnavailable:
                pass  # the feed says it
            except Exception:
                log.exception("looking for deadlines failed")
            await asyncio.sleep(LOOK)

    def _fire_due(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            self._known.discard(entry)
            _, what, job_id = entry
            if (what, job_id) not in self._firing:
                task = asyncio.create_task(self._fire(what, job_id))
                self._firing[what, job_id] = task
                task.add_done_callback(partial(self._fired, what, job_id))

    def _fired(self, what: str, job_id: str, task: asyncio.Task[datetime | None]) -> None:
        del self._firing[what, job_id]
        if not task.cancelled() and (again := task.result()) is not None:
            self._add(again, what, job_id)

    async def _fire(self, what: str, job_id: str) -> datetime | None:
        """Send the command. Returns when to come again."""
        soon = timedelta(milliseconds=1)
        try:
            if what == "load":
                await self.load()
                return None
            command = c.EndGrace(job_id=job_id) if what == "cancel" else c.RunDue(job_id=job_id)
            later = await self._engine.execute(command)
        except AskbackError as error:
            log.warning("a timer of job %s was not written: %s", job_id, error, extra={"job_id": job_id})
            return self._clock.now() + AGAIN
        except Exception:
            log.exception("a timer of job %s failed", job_id, extra={"job_id": job_id})
            return None
        # Our clock was ahead of the database's, or something else of the job is next.
        return max(later, self._clock.now() + soon) if isinstance(later, datetime) else None
