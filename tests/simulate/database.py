"""A simulated database shared by all replicas: guarded writes that commit out of order, and a log."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import TypeVar

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.commands import PromptRef
from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job
from askback_server.domain.prompts import Prompt, Submission
from askback_server.ports.queries import PromptFilter, PromptPosition, PromptsPage
from askback_server.ports.storage import (
    Changed,
    ChangedPromptIds,
    JobWrite,
    Lost,
    Position,
    Wanted,
    Written,
)
from askback_server.ports.worker_sessions import Doubts, WorkerSession
from askback_server.sessions.snapshot import urgency, urgency_at
from tests.simulate.absences import SimulatedAbsences
from tests.simulate.idle_stores import IdleCheckpoints, IdleRules, IdleStores
from tests.simulate.rules import SimulatedRules
from tests.simulate.virtual_time import LoopClock
from tests.simulate.wakeups import SimulatedChannel, SimulatedWakeups
from tests.simulate.worker_sessions import SimulatedSessions

T = TypeVar("T")


@dataclass
class Rows:
    """The committed rows. `images` has every version of every prompt, for the judges."""

    jobs: dict[str, Job] = field(default_factory=dict)
    prompts: dict[str, Prompt] = field(default_factory=dict)
    submissions: dict[tuple[str, str], Submission] = field(default_factory=dict)
    checkpoints: dict[tuple[str, str], Checkpoint] = field(default_factory=dict)
    understandings: dict[str, DeepUnderstanding] = field(default_factory=dict)
    sessions: dict[str, tuple[WorkerSession, str]] = field(default_factory=dict)
    doubts: dict[str, Doubts] = field(default_factory=dict)
    log: list[tuple[Position, Event]] = field(default_factory=list)
    images: dict[tuple[str, int], Prompt] = field(default_factory=dict)
    since: dict[tuple[str, int], float] = field(default_factory=dict)
    """The time at which each image was committed."""


class SimulatedDatabase:
    """Implements the Storage port. Each statement takes time and sees the rows committed when it runs."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(f"{seed} database")
        self.clock = LoopClock()
        self.rows = Rows()
        self.unavailable = False
        self.slow_commits = 0.15
        """How often a commit takes up to 0.6 s, while later ones overtake it."""
        self.tail_mark = Position()
        self._xids = count(1)
        self._ids = count(1)
        self._running: set[int] = set()
        self._locks: dict[str, asyncio.Lock] = {}
        self.jobs = self.queue = self.feed = self
        idle = IdleStores(self.pause)
        self.census = self.presence = self.queue_locks = self.sign_outs = idle
        self.overview = self.people = self.audit = idle
        self.absences: IdleStores | SimulatedAbsences = idle
        self.checkpoints = IdleCheckpoints()
        self.rules: IdleRules | SimulatedRules = IdleRules()
        self._channel = SimulatedChannel(seed)
        self.sessions = SimulatedSessions(self)
        self.on_commit: Callable[[JobWrite], None] = lambda _: None
        """Told of each write of a job just before its rows are changed."""

    @property
    def wakeups(self) -> SimulatedWakeups:
        """New wake-ups for each replica that asks."""
        return SimulatedWakeups(self._channel)

    async def pause(self, slow: float = 0.03) -> None:
        """Take the time of a round trip. Raises StorageUnavailable while the database is away."""
        rng = self._rng
        often = rng.random() >= slow
        await asyncio.sleep(rng.uniform(0.0005, 0.01) if often else rng.uniform(0.05, 0.6))
        if self.unavailable:
            raise StorageUnavailable("the database does not answer")

    async def read(self, read: Callable[[], T]) -> T:
        """Run a read. The rows may be outdated by the time it returns, as with a real database."""
        await self.pause()
        found = read()
        await self.pause(slow=0.1)
        return found

    async def ping(self) -> datetime:
        return self.clock.now()

    async def secret(self) -> bytes:
        return b"secret"

    async def close(self) -> None:
        pass

    # --- the write ---

    async def write(self, batch: Sequence[JobWrite]) -> Written:
        await self.pause()
        order = sorted(batch, key=lambda w: w.job.job_id)
        async with AsyncExitStack() as held:  # releases them also if the replica crashes while it waits
            for write in order:
                await held.enter_async_context(self._locks.setdefault(write.job.job_id, asyncio.Lock()))
            xid = next(self._xids)
            self._running.add(xid)
            held.callback(self._running.discard, xid)
            ids = {id(w): [next(self._ids) for _ in w.events] for w in order}
            await self.pause(slow=self.slow_commits)
            lost = {}
            for write in order:
                if why := self._why_lost(write):
                    lost[write.job.job_id] = why
                else:
                    self._apply(write, xid, ids[id(write)])
            return Written(lost, self.clock.now())

    def _why_lost(self, write: JobWrite) -> Lost | None:
        job, now, guard = write.job, self.clock.now(), write.guard
        if guard.session is not None:
            row = self.alive(guard.session.session_id)
            if row is None:
                return Lost.SESSION
            if guard.session.epoch not in (0, row.epoch):
                return Lost.MOVED
        if (guard.not_before and now < guard.not_before) or (guard.not_after and now >= guard.not_after):
            return Lost.TIME
        if not write.expected:
            named = (job.namespace, job.request_id)
            known = job.request_id and any(
                (j.namespace, j.request_id) == named for j in self.rows.jobs.values()
            )
            return Lost.VERSION if known or not self.rules.hold(write) else None
        known_job = self.rows.jobs.get(job.job_id)
        if known_job is None or known_job.version != write.expected or not self.rules.hold(write):
            return Lost.VERSION
        return None

    def _apply(self, write: JobWrite, xid: int, ids: list[int]) -> None:
        rows, job = self.rows, write.job
        self.rules.commit(write)
        self.on_commit(write)
        for number, event in zip(ids, write.events, strict=True):
            insort(rows.log, (Position(xid, number), event), key=lambda entry: entry[0])
        if write.deleted:
            del rows.jobs[job.job_id]
            for part in (rows.prompts, rows.submissions, rows.checkpoints):
                for key in [k for k, v in part.items() if v.job_id == job.job_id]:
                    del part[key]
            return
        rows.jobs[job.job_id] = job
        for prompt in (*write.new_prompts.values(), *(p for p, _ in write.changed_prompts.values())):
            rows.prompts[prompt.prompt_id] = prompt
            rows.images[prompt.prompt_id, prompt.version] = prompt
            rows.since[prompt.prompt_id, prompt.version] = self.clock.monotonic()
        for s in write.submissions:
            rows.submissions[s.prompt_id, s.answer.answer_id] = s
        for point in write.checkpoints.values():
            rows.checkpoints[point.job_id, point.key] = point
        if write.understanding is not None:
            rows.understandings[job.job_id] = write.understanding

    # --- reads ---

    async def load(self, wanted: Sequence[Wanted]) -> list[Aggregate]:
        return await self.read(lambda: [self._aggregate(w) for w in wanted])

    async def load_by_prompts(self, prompt_ids: Sequence[str]) -> list[Aggregate]:
        def found() -> list[Aggregate]:
            by_job: dict[str, Wanted] = {}
            for prompt_id in prompt_ids:
                if (prompt := self.rows.prompts.get(prompt_id)) is not None:
                    wanted = by_job.setdefault(prompt.job_id, Wanted(job_id=prompt.job_id))
                    wanted.prompt_ids.add(prompt_id)
            return [self._aggregate(w) for w in by_job.values()]

        return await self.read(found)

    def _aggregate(self, w: Wanted) -> Aggregate:
        rows = self.rows
        job = rows.jobs.get(w.job_id) if w.job_id else self._find_request(w.request)
        if job is None:
            return Aggregate()
        theirs = {
            i: p
            for i, p in rows.prompts.items()
            if p.job_id == job.job_id
            and (p.is_open or i in w.prompt_ids or p.key in w.keys or (w.request and p.round == 1))
        }
        mine = {k: rows.submissions[k] for k in w.submissions if k in rows.submissions}
        return Aggregate(job, theirs, mine, rows.understandings.get(job.job_id))

    def _find_request(self, request: tuple[str, str] | None) -> Job | None:
        return next((j for j in self.rows.jobs.values() if (j.namespace, j.request_id) == request), None)

    async def get_jobs(self, job_ids: Iterable[str]) -> list[Job]:
        ids = list(job_ids)
        return await self.read(lambda: [self.rows.jobs[i] for i in ids if i in self.rows.jobs])

    async def get_prompts(self, prompt_ids: Iterable[str]) -> list[Prompt]:
        ids = list(prompt_ids)
        return await self.read(lambda: [self.rows.prompts[i] for i in ids if i in self.rows.prompts])

    async def list_held(self, session_id: str) -> list[Job]:
        jobs = self.rows.jobs
        return await self.read(lambda: [j for j in jobs.values() if j.session_id == session_id])

    async def list_unconfirmed(self, job_ids: Sequence[str]) -> list[Prompt]:
        def found() -> list[Prompt]:
            mine = [p for p in self.rows.prompts.values() if p.job_id in job_ids]
            return [p for p in mine if not p.is_open and p.consumed_at is None]

        return await self.read(found)

    async def first_jobs(self, job_ids: Sequence[str], max_bytes: int) -> tuple[list[Job], int]:
        return await self.get_jobs(job_ids), len(job_ids)

    async def first_prompts(self, prompt_ids: Sequence[str], max_bytes: int) -> tuple[list[Prompt], int]:
        return await self.get_prompts(prompt_ids), len(prompt_ids)

    async def get_jobs_and_prompts(
        self, job_ids: Sequence[str], prompt_ids: Sequence[str]
    ) -> tuple[list[Job], list[Prompt]]:
        jobs, prompts = self.rows.jobs, self.rows.prompts
        return await self.read(
            lambda: (
                [jobs[i] for i in job_ids if i in jobs],
                [prompts[i] for i in prompt_ids if i in prompts],
            )
        )

    async def find_prompt(self, ref: PromptRef) -> Prompt | None:
        await self.pause()
        if ref.prompt_id:
            return self.rows.prompts.get(ref.prompt_id)
        named = (p for p in self.rows.prompts.values() if (p.job_id, p.key) == (ref.job_id, ref.key))
        return next(named, None)

    async def list_prompts(
        self, filter: PromptFilter, limit: int, after: PromptPosition | None, max_bytes: int
    ) -> PromptsPage:
        return await self.read(lambda: self._page(filter, limit, after))

    async def count_prompts(self, filter: PromptFilter) -> int:
        return await self.read(lambda: len(self._page(filter, 1 << 30, None).prompts))

    def _page(self, filter: PromptFilter, limit: int, after: PromptPosition | None) -> PromptsPage:
        found = [p for p in self.rows.prompts.values() if p.state in filter.states and filter.matches(p)]
        found.sort(key=urgency)
        if after is not None:
            found = [p for p in found if urgency(p) > urgency_at(after)]
        page = found[:limit]
        last = page[-1] if len(page) < len(found) else None
        mark = None
        if last is not None:
            at = last.expires_at.isoformat() if last.expires_at else None
            mark = (last.content.priority, at, last.prompt_id)
        return PromptsPage(tuple(page), mark)

    async def list_checkpoints(self, job_id: str, limit: int, after: str) -> list[Checkpoint]:
        await self.pause()
        found = [p for (of, key), p in self.rows.checkpoints.items() if of == job_id and key > after]
        return sorted(found, key=lambda p: p.key)[:limit]

    async def get_understanding(self, job_id: str) -> DeepUnderstanding | None:
        return self.rows.understandings.get(job_id)

    async def list_events(self, job_id: str, after_seq: int, limit: int) -> list[Event]:
        await self.pause()
        return [e for _, e in self.rows.log if e.job_id == job_id and e.seq > after_seq][:limit]

    # --- the log ---

    @property
    def horizon(self) -> int:
        """The lowest running transaction id: events below it are complete."""
        return min(self._running, default=1 << 60)

    async def epoch(self) -> str:
        return "epoch"

    async def head(self) -> Position:
        settled = await self.read(lambda: [p for p, _ in self.rows.log if p.xid < self.horizon])
        return settled[-1] if settled else self.tail_mark

    async def tail(self) -> Position:
        await self.pause()
        return self.tail_mark

    async def after(
        self, position: Position, limit: int, *, settled: bool = True
    ) -> tuple[list[Changed], Position]:
        span = await self.read(
            lambda: [
                entry
                for entry in self.rows.log
                if entry[0] > position and (not settled or entry[0].xid < self.horizon)
            ][:limit]
        )
        if not span:
            return [], position
        return _fold(event for _, event in span), span[-1][0]

    async def changed_prompts(self, position: Position, limit: int) -> ChangedPromptIds | None:
        if position < await self.tail():
            return None
        changed, reached = await self.after(position, limit, settled=False)
        ids: dict[str, frozenset[str]] = {}
        for change in changed:
            ids[change.namespace] = ids.get(change.namespace, frozenset()) | change.prompt_ids
        rest, _ = await self.after(reached, 1, settled=False)
        return ChangedPromptIds(ids, reached, not rest)

    async def of_jobs(self, marks: Mapping[str, int]) -> list[Changed]:
        log = self.rows.log
        return await self.read(lambda: _fold(e for _, e in log if e.seq > marks.get(e.job_id, 1 << 60)))

    async def end_history(self, name: str) -> None:
        raise AssertionError("no commit is lost here")

    async def has_position(self, position: Position) -> bool:
        await self.pause()
        return True

    async def settle_lag(self) -> float:
        await self.pause()
        return 0.0

    async def holder(self) -> None:
        await self.pause()

    def forget(self) -> None:
        """Mark the older half of the log as deleted: resume tokens below it are refused."""
        half = self.rows.log[: len(self.rows.log) // 2]
        if half and half[-1][0].xid < self.horizon:
            self.tail_mark = half[-1][0]

    def alive(self, session_id: str) -> WorkerSession | None:
        row = self.rows.sessions.get(session_id)
        return row[0] if row is not None and row[0].expires_at > self.clock.now() else None

    # --- queries of timers, dispatcher and sweep ---

    async def claimable(self, limits: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], list[str]]:
        await self.pause()
        now = self.clock.now()
        found: dict[tuple[str, str], list[str]] = {}
        for job in self.rows.jobs.values():
            if job.ready_at is not None and job.ready_at <= now:
                queue = job.namespace, job.job_type
                if len(found.setdefault(queue, [])) < limits.get(queue, 0):
                    found[queue].append(job.job_id)
        return {queue: ids for queue, ids in found.items() if ids}

    async def list_queues(self, after: Mapping[str, str], limit: int) -> dict[str, dict[str, bool]]:
        await self.pause()
        now = self.clock.now()
        found: dict[str, dict[str, bool]] = {}
        for job in self.rows.jobs.values():
            if job.ready_at is not None and job.job_type > after.get(job.namespace, "\uffff"):
                types = found.setdefault(job.namespace, {})
                types[job.job_type] = types.get(job.job_type, False) or job.ready_at <= now
        return {name: dict(sorted(types.items())[:limit]) for name, types in found.items()}

    async def list_due(
        self, ahead: timedelta, limit: int
    ) -> tuple[datetime, list[tuple[datetime, str, str]]]:
        await self.pause()
        now = self.clock.now()
        until = now + ahead
        found = [
            (p.due_at, "due", p.job_id)
            for p in self.rows.prompts.values()
            if p.is_open and p.due_at is not None and p.due_at <= until
        ]
        jobs = self.rows.jobs.values()
        found += [(j.cancel_at, "cancel", j.job_id) for j in jobs if j.cancel_at and j.cancel_at <= until]
        return now, sorted(found)[:limit]

    async def orphans(self, limit: int) -> list[tuple[str, str]]:
        jobs, sessions = self.rows.jobs, self.rows.sessions
        held = await self.read(lambda: [(j.job_id, j.session_id) for j in jobs.values() if j.session_id])
        return [(i, s) for i, s in held if s not in sessions][:limit]

    async def list_expired(self, limit: int, since: datetime | None) -> list[Job]:
        return []

    async def drop_events(self, keep: datetime, limit: int) -> int:
        return 0

    async def make_room(self) -> None:
        pass


def _fold(events: Iterable[Event]) -> list[Changed]:
    """The events by job, as the database folds them."""
    by_job: dict[str, list[Event]] = {}
    for event in events:
        by_job.setdefault(event.job_id, []).append(event)
    return [
        Changed(
            job_id,
            min(e.seq for e in found) - 1,
            max(e.seq for e in found),
            frozenset(e.prompt_id for e in found if e.prompt_id),
            found[0].namespace,
            frozenset(e.prompt_id for e in found if e.prompt_id and e.type is EventType.ANSWER_LATE),
        )
        for job_id, found in by_job.items()
    ]
