"""A replica inside a test: SQLite, real gRPC on loopback, and a clock that can be fast-forwarded.

`askback.testing` puts a scripted human in front of it. Between two leaps the clock runs like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from askback_server.config.settings import Config
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.lifecycle import Service
from askback_server.ports.clock import Alarm, SystemClock

_LOOK = 0.001
"""Seconds between two looks at whether everything has come to rest."""


@dataclass(eq=False, slots=True)
class _Alarm:
    """A callback and the handle of the loop that will call it."""

    when: datetime
    callback: Callable[[], None]
    clock: LeapingClock
    handle: asyncio.TimerHandle | None = None

    def arm(self) -> None:
        """Wait for what is left."""
        if self.handle is not None:
            self.handle.cancel()
        left = (self.when - self.clock.now()).total_seconds()
        self.handle = asyncio.get_running_loop().call_later(max(0.0, left), self.ring)

    def ring(self) -> None:
        """It is time."""
        self.cancel()
        self.callback()

    def cancel(self) -> None:
        """It will not ring."""
        self.clock.alarms.discard(self)
        if self.handle is not None:
            self.handle.cancel()


class LeapingClock(SystemClock):
    """The machine's clock, as far ahead as it has leapt. `monotonic` never leaps: streams stay alive."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self.alarms: set[_Alarm] = set()

    def now(self) -> datetime:
        """The wall clock of the test."""
        return datetime.now(UTC) + self._ahead

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        """Call `callback` when the clock says `when`, by running or by leaping."""
        alarm = _Alarm(when, callback, self)
        self.alarms.add(alarm)
        alarm.arm()
        return alarm

    def leap(self, span: timedelta) -> None:
        """Be so much later at once. What has become due rings soon."""
        self._ahead += span
        for alarm in tuple(self.alarms):
            alarm.arm()


@dataclass(slots=True)
class OpenWork:
    """The jobs that have not ended and their open prompts, as the commits tell.

    `arrived` is called with the namespace of each job.
    """

    arrived: Callable[[str], None]
    jobs: dict[str, Job] = field(default_factory=dict)
    prompts: dict[str, Prompt] = field(default_factory=dict)

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Take a commit."""
        for item in batch:
            self.arrived(item.job.namespace)
            self.jobs[item.job.job_id] = item.job
            self.prompts.update((prompt.prompt_id, prompt) for prompt in item.prompts)
            if item.deleted or item.job.is_terminal:
                del self.jobs[item.job.job_id]
        self.prompts = {k: p for k, p in self.prompts.items() if p.is_open and p.job_id in self.jobs}

    def open_in(self, job: Job) -> list[Prompt]:
        """The job's open prompts."""
        return [prompt for prompt in self.prompts.values() if prompt.job_id == job.job_id]


class NotIdle(TimeoutError):
    """Time was to leap, and something was still being done."""


class InProcessReplica:
    """One replica for one test, on a new SQLite file in `folder`. `arrived` hears the namespaces of jobs.

    Use it in one loop. A worker session lives for an hour without a heartbeat, so a leap costs nobody
    a lease; the sessions of workers that are gone expire under it.
    """

    def __init__(self, folder: Path, arrived: Callable[[str], None] = lambda _: None) -> None:
        self.clock = LeapingClock()
        self.open_work = OpenWork(arrived)
        config = Config(
            listen="127.0.0.1:0",
            db=f"sqlite+aiosqlite:///{folder / 'askback.db'}",
            replica="test",
            test_mode=True,
            lease_ttl=3600.0,
            # Timers know the deadlines of two intervals: here all of them, so that leaps find each.
            sweep_interval=timedelta(days=3650).total_seconds(),
            drain_grace=0.0,
        )
        self._service = Service(config, self.clock)

    async def start(self) -> str:
        """Serve. Returns where: HOST:PORT."""
        await self._service.start()
        self._service.replica.bus.follow_batches(self.open_work.on_commit)
        return f"127.0.0.1:{self._service.port}"

    async def stop(self) -> None:
        """Stop at once."""
        await self._service.stop()

    async def advance(self, span: timedelta, left: Callable[[str], bool], patience: float) -> None:
        """Let `span` pass: from one thing that falls due to the next, each at its own time.

        Before every leap, and at the end, it waits until all jobs have ended or wait: for a time, for a
        worker that is not there, or for people who leave the prompt alone (`left` says so of an id).
        Raises NotIdle when that takes longer than `patience` seconds.
        """
        replica, clock = self._service.replica, self.clock
        await self._rest(left, patience)
        end = clock.now() + span
        while clock.now() < end:
            due = min((alarm.when for alarm in clock.alarms), default=end)
            step = max(min(due, end) - clock.now(), timedelta(0))
            # Those that are here would have been heard all the time.
            alive = (timedelta(seconds=replica.keeper.ttl) + step).total_seconds()
            await replica.sessions.beat(replica.keeper.present, alive)
            await self._rest(left, patience)
            clock.leap(step)
            # The loop calls what rings now at the end of its turn: this goes on in the turn after the next.
            for _ in range(2):
                await asyncio.sleep(0)
            await self._rest(left, patience)
        await replica.keeper.reap()
        await replica.sweep.sweep()
        await self._rest(left, patience)

    async def _rest(self, left: Callable[[str], bool], patience: float) -> None:
        """Wait until there is nothing to do now."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while busy := self._busy(left):
            if loop.time() > end:
                raise NotIdle(
                    f"time cannot pass while {busy}: it may only when every job has ended or waits "
                    f"(waited {patience:g} s)"
                )
            await asyncio.sleep(_LOOK)

    def _busy(self, left: Callable[[str], bool]) -> str:
        """What is being done now; empty if nothing is."""
        replica = self._service.replica
        for job in self.open_work.jobs.values():
            prompts = self.open_work.open_in(job)
            for prompt in prompts:
                if not left(prompt.prompt_id):
                    return f"{prompt.content.title!r} of job {job.job_id} is being answered"
            pending = job.state is JobState.PENDING
            ready = pending and job.ready_at is not None and job.ready_at <= self.clock.now()
            if (ready and replica.dispatcher.serves(job)) or not (prompts or pending):
                return f"job {job.job_id} ({job.job_type}) is {job.state}"
        if not (replica.engine.idle and replica.timers.idle):
            return "the server writes"
        return ""
