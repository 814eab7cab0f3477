"""Timers for escalation steps, reminders, deadlines, and the end of cancel graces.

The protocol. A timer does not decide anything. When it fires it sends a command (`RunDue` or `EndGrace`),
which the rules judge by the state of the job and which is guarded by the database's clock. So a timer that
fires early, late, twice or at two replicas does no harm.

Every replica knows every near deadline, whichever replica set it. A query every `POLL_SECONDS` finds what is
due within `LOOKAHEAD`. The replica's own commits report new deadlines within that time at once. Later ones
are not kept: a query finds them when they are near, so a job that waits for long has nothing in memory.
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

_log = logging.getLogger("askback.server.engine")

POLL_SECONDS = 0.5
"""Seconds between two queries for deadlines."""
LOOKAHEAD = timedelta(seconds=1.5)
"""How far ahead a query looks: beyond the next query, so that each timer fires on time."""
MAX_DEADLINES = 10_000
"""Maximum number of deadlines read per query."""
MAX_RUNNING = 32
"""Maximum number of timers whose commands run at once. The others wait in the heap: if all were sent when
thousands of deadlines fall into one second, calls of users would be refused or wait behind them. A call waits
for the batch that is being written, so more at once would cost it more time than they save."""
RETRY_DELAY = timedelta(seconds=0.5)
"""Wait before retrying a deadline whose command failed, for example while the database was unavailable."""


class Timers:
    """A heap of (when, kind, job id), filled by commits and by `load`.

    Both add only deadlines within `LOOKAHEAD`.
    """

    def __init__(self, engine: Engine, queue: WorkQueue, clock: DatabaseClock) -> None:
        self._engine = engine
        self._queue = queue
        self._clock = clock
        self._heap: list[tuple[datetime, str, str]] = []
        self._pending: set[tuple[datetime, str, str]] = set()
        self._due = asyncio.Event()
        self._alarm: Alarm | None = None
        self._running: dict[tuple[str, str], asyncio.Task[datetime | None]] = {}
        """Running commands by (kind, job id). A job needs no second timer meanwhile: the reply names its next
        deadline."""
        self._failed = 0
        """Commands that failed since the last line of the log about them."""

    def __len__(self) -> int:
        return len(self._heap)

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Add the deadlines of committed jobs and prompts."""
        for item in batch:
            job = item.job
            if item.deleted or job.is_terminal:
                continue
            self._add_near(job.cancel_at, "cancel", job.job_id)
            self._add_near(job.due_at, "due", job.job_id)
            for prompt in item.prompts:
                if prompt.is_open:
                    self._add_near(prompt.due_at, "due", prompt.job_id)

    async def load(self) -> None:
        """Read the timers that are due soon by the database's clock, and adjust our estimate of that
        clock."""
        asked = self._clock.now()
        now, found = await self._queue.list_due(LOOKAHEAD, MAX_DEADLINES)
        self._clock.compare(asked, now)
        coming = [entry[2] for entry in found if self._add(*entry) and entry[0] > now]
        if len(found) == MAX_DEADLINES:
            # There are more: read on when these have fired.
            self._add(found[-1][0], "load", "")
        # Reading is a third of the work of a deadline, and there is time for it now.
        await self._engine.read_ahead(list(dict.fromkeys(coming)))

    def _add_near(self, when: datetime | None, kind: str, job_id: str) -> None:
        """Add a time, unless a query will find it."""
        if when is not None and when <= self._clock.now() + LOOKAHEAD:
            self._add(when, kind, job_id)

    def _add(self, when: datetime, kind: str, job_id: str) -> bool:
        """Add a timer. Returns whether it is new."""
        entry = (when, kind, job_id)
        if entry in self._pending:
            return False
        if (kind, job_id) in self._running and when <= self._clock.now():
            return False
        self._pending.add(entry)
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._set_alarm()
        return True

    def _set_alarm(self) -> None:
        """Set the alarm for the earliest entry. While too many run, the end of one of them is the alarm."""
        if self._alarm is not None:
            self._alarm.cancel()
        may_fire = self._heap and not self._is_full
        self._alarm = self._clock.call_at(self._heap[0][0], self._due.set) if may_fire else None

    @property
    def _is_full(self) -> bool:
        return len(self._running) >= MAX_RUNNING

    @property
    def idle(self) -> bool:
        """Whether nothing is due or firing."""
        return not self._running and not (self._heap and self._heap[0][0] <= self._clock.now())

    async def run(self) -> None:
        """Fire due timers until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._poll())
                while True:
                    self._due.clear()
                    self._fire_due()
                    self._set_alarm()
                    await self._due.wait()
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            for task in self._running.values():
                task.cancel()

    async def _poll(self) -> None:
        while True:
            try:
                await self.load()
            except StorageUnavailable:
                pass  # the feed logs it
            except Exception:
                _log.exception("reading deadlines failed")
            if self._failed:
                text = "%d timers could not run since the last poll; each is tried again"
                _log.warning(text, self._failed)
                self._failed = 0
            await asyncio.sleep(POLL_SECONDS)

    def _fire_due(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now and not self._is_full:
            entry = heapq.heappop(self._heap)
            self._pending.discard(entry)
            _, kind, job_id = entry
            if (kind, job_id) not in self._running:
                task = asyncio.create_task(self._fire(kind, job_id))
                self._running[kind, job_id] = task
                task.add_done_callback(partial(self._on_fired, kind, job_id))

    def _on_fired(self, kind: str, job_id: str, task: asyncio.Task[datetime | None]) -> None:
        if self._is_full:
            self._due.set()
        del self._running[kind, job_id]
        if not task.cancelled():
            self._add_near(task.result(), kind, job_id)

    async def _fire(self, kind: str, job_id: str) -> datetime | None:
        """Send the command. Returns the time of the job's next timer of this kind, if any."""
        soon = timedelta(milliseconds=1)
        try:
            if kind == "load":
                await self.load()
                return None
            command = c.EndGrace(job_id=job_id) if kind == "cancel" else c.RunDue(job_id=job_id)
            later = await self._engine.execute(command)
        except AskbackError as error:
            self._failed += 1
            _log.debug("a timer of job %s could not run: %s", job_id, error, extra={"job_id": job_id})
            return self._clock.now() + RETRY_DELAY
        except Exception:
            _log.exception("a timer of job %s failed", job_id, extra={"job_id": job_id})
            return None
        # A later time means that our clock was ahead of the database's, or that the job has another deadline.
        return max(later, self._clock.now() + soon) if isinstance(later, datetime) else None
