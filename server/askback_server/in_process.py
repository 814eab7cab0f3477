"""A replica in the process of a test: SQLite, gRPC on loopback, and a clock that can be advanced.

`askback.testing` adds a scripted human. Between two leaps the clock runs normally.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from askback_server.config.settings import Config
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.lifecycle import Service
from askback_server.ports.clock import Alarm, SystemClock
from askback_server.storage.migrate import upgrade

_POLL_SECONDS = 0.001
"""Seconds between two checks whether the replica is idle."""


@dataclass(eq=False, slots=True)
class _Alarm:
    """A callback at a time of a `LeapingClock`, with the loop's handle for it."""

    when: datetime
    callback: Callable[[], None]
    clock: LeapingClock
    handle: asyncio.TimerHandle | None = None

    def arm(self) -> None:
        """Set the loop's timer to the remaining time."""
        if self.handle is not None:
            self.handle.cancel()
        left = (self.when - self.clock.now()).total_seconds()
        self.handle = asyncio.get_running_loop().call_later(max(0.0, left), self.ring)

    def ring(self) -> None:
        """Call the callback."""
        self.cancel()
        self.callback()

    def cancel(self) -> None:
        """Do not call the callback."""
        self.clock.alarms.discard(self)
        if self.handle is not None:
            self.handle.cancel()


class LeapingClock(SystemClock):
    """The machine's clock plus the leaps so far. `monotonic` does not leap, so that streams stay alive."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self.alarms: set[_Alarm] = set()

    def now(self) -> datetime:
        """The time of the test."""
        return datetime.now(UTC) + self._ahead

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        """Call `callback` when the clock reaches `when`, by running or by leaping."""
        alarm = _Alarm(when, callback, self)
        self.alarms.add(alarm)
        alarm.arm()
        return alarm

    def leap(self, span: timedelta) -> None:
        """Advance by `span` at once. Alarms that are due then are called in the next turns of the loop."""
        self._ahead += span
        for alarm in tuple(self.alarms):
            alarm.arm()


@dataclass(slots=True)
class OpenWork:
    """The jobs that have not ended and their open prompts, by following the commits.

    `on_job` is called with the namespace of each job in a commit.
    """

    on_job: Callable[[str], None]
    jobs: dict[str, Job] = field(default_factory=dict)
    prompts: dict[str, Prompt] = field(default_factory=dict)

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Apply a commit."""
        for item in batch:
            self.on_job(item.job.namespace)
            self.jobs[item.job.job_id] = item.job
            self.prompts.update((prompt.prompt_id, prompt) for prompt in item.prompts)
            if item.deleted or item.job.is_terminal:
                del self.jobs[item.job.job_id]
        self.prompts = {k: p for k, p in self.prompts.items() if p.is_open and p.job_id in self.jobs}

    def next_deadline(self) -> datetime | None:
        """The earliest deadline of the jobs and prompts; None if there is none."""
        times = [at for job in self.jobs.values() for at in (job.cancel_at, job.due_at)]
        times += [prompt.due_at for prompt in self.prompts.values()]
        return min((at for at in times if at is not None), default=None)

    def open_in(self, job: Job) -> list[Prompt]:
        """The open prompts of the job."""
        return [prompt for prompt in self.prompts.values() if prompt.job_id == job.job_id]


class NotIdle(TimeoutError):
    """The clock cannot advance: the replica did not become idle in time."""


@cache
def _new_database() -> bytes:
    """A SQLite file with Askback's tables. The migrations take most of a start, so they run once."""
    with TemporaryDirectory(prefix="askback-") as folder:
        file = Path(folder, "askback.db")
        upgrade(f"sqlite+aiosqlite:///{file}")
        return file.read_bytes()


class InProcessReplica:
    """One replica for one test, on a new SQLite file in `folder`. `on_job` gets the namespaces of jobs.

    Use it in one event loop. Worker sessions live for an hour without a heartbeat, and `advance` extends
    those of connected workers, so that a leap ends no lease. The sessions of disconnected workers expire.
    """

    def __init__(self, folder: Path, on_job: Callable[[str], None] = lambda _: None) -> None:
        self.clock = LeapingClock()
        self.open_work = OpenWork(on_job)
        self._file = folder / "askback.db"
        config = Config(
            listen="127.0.0.1:0",
            db=f"sqlite+aiosqlite:///{self._file}",
            replica="test",
            test_mode=True,
            lease_ttl=3600.0,
            sweep_interval=timedelta(days=3650).total_seconds(),  # `advance` sweeps
            drain_grace=0.0,
        )
        self._service = Service(config, self.clock)

    async def start(self) -> str:
        """Start to serve. Returns HOST:PORT."""
        self._file.touch(0o600)
        self._file.write_bytes(await asyncio.to_thread(_new_database))
        await self._service.start()
        self._service.replica.bus.follow_batches(self.open_work.on_commit)
        return f"127.0.0.1:{self._service.port}"

    async def stop(self) -> None:
        """Stop without a grace for running calls."""
        await self._service.stop()

    async def advance(self, span: timedelta, is_left: Callable[[str], bool], timeout: float) -> None:
        """Advance the clock by `span`, from one alarm or deadline to the next, so that each has its own time.

        Before every leap, and at the end, it waits until every job has ended or waits: for a time, for a
        worker that is not connected, or for an answer that the scripted human leaves out (`is_left` of the
        prompt's id). Raises NotIdle if that takes longer than `timeout` seconds.
        """
        replica, clock = self._service.replica, self.clock
        await self._wait_until_idle(is_left, timeout)
        end = clock.now() + span
        while clock.now() < end:
            dues = [alarm.when for alarm in clock.alarms]
            deadline = self.open_work.next_deadline()
            step = max(min([*dues, deadline or end, end]) - clock.now(), timedelta(0))
            # Connected workers would have sent heartbeats all the time.
            alive = (timedelta(seconds=replica.keeper.ttl) + step).total_seconds()
            await replica.sessions.beat(replica.keeper.present, alive)
            await self._wait_until_idle(is_left, timeout)
            clock.leap(step)
            await replica.timers.load()
            # The loop calls due alarms at the end of its turn, so continue in the turn after the next.
            for _ in range(2):
                await asyncio.sleep(0)
            await self._wait_until_idle(is_left, timeout)
        await replica.keeper.reap()
        await replica.sweep.sweep()
        await self._wait_until_idle(is_left, timeout)

    async def _wait_until_idle(self, is_left: Callable[[str], bool], timeout: float) -> None:
        """Wait until nothing is being done. Raises NotIdle."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while busy := self._current_work(is_left):
            if loop.time() > end:
                raise NotIdle(
                    f"time cannot pass while {busy}: it may only when every job has ended or waits "
                    f"(waited {timeout:g} s)"
                )
            await asyncio.sleep(_POLL_SECONDS)

    def _current_work(self, is_left: Callable[[str], bool]) -> str:
        """The work in progress, for a message; empty if there is none."""
        replica = self._service.replica
        for job in self.open_work.jobs.values():
            prompts = self.open_work.open_in(job)
            for prompt in prompts:
                if not is_left(prompt.prompt_id):
                    return f"{prompt.content.title!r} of job {job.job_id} is being answered"
            pending = job.state is JobState.PENDING
            ready = pending and job.ready_at is not None and job.ready_at <= self.clock.now()
            if (ready and replica.dispatcher.serves(job)) or not (prompts or pending):
                return f"job {job.job_id} ({job.job_type}) is {job.state}"
        if not (replica.engine.idle and replica.timers.idle):
            return "the server writes"
        return ""
