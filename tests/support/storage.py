"""A replica's engine and feed on a real database, and what a test reads from that database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.aggregate import Aggregate
from askback_server.domain.audit import verify_job
from askback_server.domain.checkpoints import Head
from askback_server.domain.commands import PromptRef, SessionRef
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.events import Event
from askback_server.domain.jobs import Job, Progress
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import AnswerResult, Prompt, PromptState
from askback_server.domain.stored_jobs import Notes
from askback_server.engine.absences import KnownAbsences
from askback_server.engine.commit_bus import CommitBus
from askback_server.engine.committed import ChangedPrompts, Committed
from askback_server.engine.engine import Engine
from askback_server.engine.hot_jobs import HotJobs
from askback_server.engine.presence import PresenceIndex
from askback_server.engine.queries import Queries
from askback_server.engine.rules import Rules
from askback_server.expressions import load_expressions
from askback_server.feed.feed import Feed
from askback_server.ports.clock import DatabaseClock, SystemClock
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.ports.storage import JobStore, JobWrite, Position, UnknownOutcome
from askback_server.storage import job_store, tables
from askback_server.storage.audit_reads import AuditReads
from askback_server.storage.database import Database
from tests.support.aggregates import ANN, CLIENT, WORKER, question
from tests.support.invariants import check_aggregate
from tests.support.rows import now
from tests.support.waiting import until

LONG = timedelta(hours=1)


CHILDREN = (tables.prompts, tables.answers, tables.checkpoints, tables.understandings, tables.events)


async def fetch(database: Database, statement: Any) -> Sequence[Any]:
    """The rows of a statement, as mappings."""
    return await database.jobs._all(statement)


WAITERS = sa.text(
    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def waits_for_a_lock(database: Database) -> bool:
    """Whether a connection waits for a lock in this PostgreSQL database."""
    return bool(await fetch(database, WAITERS))


async def execute(database: Database, statement: Any) -> Any:
    """Run a statement in its own transaction. Returns the number of rows."""

    def run(connection: sa.Connection) -> int:
        if isinstance(statement, str):
            return connection.exec_driver_sql(statement).rowcount
        return connection.execute(statement).rowcount

    return await database._dialect.run(run)


async def counts(database: Database, job_id: str) -> tuple[int, ...]:
    """The number of rows that the job has in each of CHILDREN."""
    found = []
    for table in CHILDREN:
        statement = sa.select(sa.func.count().label("n")).where(table.c.job_id == job_id)
        found.append((await fetch(database, statement))[0]["n"])
    return tuple(found)


async def get_job(database: Database, job_id: str) -> Job:
    """The job as it is stored."""
    [job] = await database.jobs.get_jobs([job_id])
    return job


async def whole(database: Database, job_id: str) -> tuple[Aggregate, list[Event]]:
    """The stored aggregate of a job and its log at one version: if a write comes between the reads, read
    again. (A replica finishes the writes it has begun even after the test has stopped their callers.)"""
    while True:
        job = await get_job(database, job_id)
        found = await _parts(database, job)
        if (await get_job(database, job_id)).version == job.version:
            return found


async def _parts(database: Database, job: Job) -> tuple[Aggregate, list[Event]]:
    job_id = job.job_id
    every = PromptFilter(job.namespace, job_id=job_id, states=tuple(PromptState))
    page = await database.jobs.list_prompts(every, 10_000, None, 1 << 30)
    prompts = {p.prompt_id: p for p in page.prompts}
    submissions = {
        (s.prompt_id, s.answer.answer_id): s
        for prompt_id in prompts
        for s in await database.jobs.list_submissions(prompt_id, 10_000, 0)
    }
    understanding = await database.jobs.get_understanding(job_id)
    events = await database.jobs.list_events(job_id, 0, 100_000)
    return Aggregate(job, prompts, submissions, understanding), events


async def faults_of(database: Database, job_id: str, head: Head | None = None) -> list[str]:
    """The rows of a job that are not what the chain of its events says. Reads again after a write between."""
    while True:
        stored = await database._dialect.run(lambda connection: AuditReads(connection).job(job_id))
        if stored.job is None or (await get_job(database, job_id)).version == stored.job["version"]:
            break
    return [str(fault) for fault in verify_job(stored, Notes(), head)]


async def check_job(database: Database, job_id: str) -> tuple[Aggregate, list[Event]]:
    """Check the invariants of a job's rows, of its log and of the chain. Returns rows and log."""
    assert await faults_of(database, job_id) == []
    return await check_rows(database, job_id)


async def check_rows(database: Database, job_id: str) -> tuple[Aggregate, list[Event]]:
    """Check the invariants of a job's rows and its log. Returns both."""
    aggregate, events = await whole(database, job_id)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    check_aggregate(aggregate, events)
    return aggregate, events


async def expire_session(database: Database, session_id: str) -> None:
    """Set a session's expiry to a time in the past."""
    past = now() - LONG
    changed = sa.update(tables.sessions).where(tables.sessions.c.session_id == session_id)
    assert await execute(database, changed.values(expires_at=past)) == 1


# --- a replica ---


class DelegatingStore:
    """A store that delegates to another one and records the sizes of the batches written."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, batch: Sequence[JobWrite]) -> Any:
        self.batches.append(len(batch))
        return await self._store.write(batch)


class GatedStore(DelegatingStore):
    """A store whose writes wait while the gate is closed; `waiting` is set while a write waits."""

    def __init__(self, store: JobStore) -> None:
        super().__init__(store)
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()

    async def write(self, batch: Sequence[JobWrite]) -> Any:
        if not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()
            self.waiting.clear()
        return await super().write(batch)


def lose_outcome(database: Database, monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> None:
    """Let the outcome of the next write, and of both attempts to settle it, be unknown. If `committed`, the
    first attempt has written it all the same."""
    monkeypatch.setattr(job_store, "SETTLE_ATTEMPTS", 2)
    monkeypatch.setattr(job_store, "SETTLE_PAUSE_SECONDS", 0.01)
    own, calls = database._dialect.write, 0

    async def write(batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1 and committed:
            await own(batch)
        if calls <= 3:
            raise UnknownOutcome("cut")
        return await own(batch)

    monkeypatch.setattr(database._dialect, "write", write)


@dataclass
class Node:
    """One replica's engine, hot jobs and feed. The feed is read only when a test calls for it."""

    database: Database
    engine: Engine
    bus: CommitBus
    presence: PresenceIndex
    feed: Feed
    hot: HotJobs
    queries: Queries
    clock: DatabaseClock
    store: Any
    rules: Rules
    absences: KnownAbsences
    received: list[Committed] = field(default_factory=list)
    """Everything that a follower of all jobs has received."""
    changed: list[ChangedPrompts] = field(default_factory=list)
    """Everything that a follower of all prompts has received."""

    async def do(self, command: c.Command[object]) -> Any:
        return await self.engine.execute(command)

    async def create(self, prompt: PromptContent | None = None, **fields: Any) -> Job:
        fields = {"principal": CLIENT, "namespace": "", "job_type": "refund", **fields}
        job: Job = (await self.do(c.CreateJob(prompt=prompt, **fields))).job
        return job

    async def session(self, ttl: float = 3600.0, namespace: str = "default") -> SessionRef:
        row, _ = await self.database.sessions.open(namespace, "w", WORKER.subject, "here", ttl)
        return SessionRef(row.session_id, row.epoch)

    async def lease(self, job: Job, session: SessionRef, principal: Principal = WORKER) -> Job:
        command = c.LeaseJob(principal=principal, job_id=job.job_id, session=session, worker_id="w")
        leased: Job = await self.do(command)
        return leased

    async def lease_new_job(self, **fields: Any) -> Job:
        """Create a job and lease it to WORKER."""
        return await self.lease(await self.create(**fields), await self.session())

    def ask_command(self, job: Job, key: str = "a", content: PromptContent | None = None) -> c.AskPrompt:
        return c.AskPrompt(
            principal=WORKER, job_id=job.job_id, token=job.token, key=key, content=content or question()
        )

    async def ask(self, job: Job, key: str = "a", content: PromptContent | None = None) -> Prompt:
        prompt: Prompt = (await self.do(self.ask_command(job, key, content))).prompt
        return prompt

    async def waiting(self, content: PromptContent | None = None, **fields: Any) -> tuple[Job, Prompt]:
        """A leased job and its open prompt `a`."""
        job = await self.lease_new_job(**fields)
        return job, await self.ask(job, "a", content)

    def answer_command(self, prompt: Prompt, answer_id: str = "a1", **fields: Any) -> c.AnswerPrompt:
        fields = {
            "principal": ANN,
            "ref": PromptRef(prompt_id=prompt.prompt_id),
            "revision": prompt.revision,
            "decision": Decision.ACCEPT,
            **fields,
        }
        return c.AnswerPrompt(answer_id=answer_id, **fields)

    async def answer(self, prompt: Prompt, answer_id: str = "a1", **fields: Any) -> AnswerResult:
        result: AnswerResult = await self.do(self.answer_command(prompt, answer_id, **fields))
        return result

    def progress_command(self, job: Job, done: int, **fields: Any) -> c.ReportProgress:
        fields = {"principal": WORKER, "token": job.token, "progress": Progress(done=done), **fields}
        return c.ReportProgress(job_id=job.job_id, **fields)

    async def complete(self, job: Job, result_json: str = '{"ok":true}') -> Job:
        done: Job = await self.do(
            c.CompleteJob(principal=WORKER, job_id=job.job_id, token=job.token, result_json=result_json)
        )
        return done

    async def catch_up(self) -> None:
        """Read the log up to its newest event."""
        newest = sa.select(tables.events.c.xid, tables.events.c.id)
        newest = newest.order_by(tables.events.c.xid.desc(), tables.events.c.id.desc()).limit(1)

        async def there() -> bool:
            await self.feed.read()
            [row] = await fetch(self.database, newest)
            return Position(row["xid"], row["id"]) <= self.feed.position

        await until(there, "the feed reaches the newest event")

    def prompt_states(self, prompt_id: str) -> list[PromptState]:
        """The states in which followers have received a prompt."""
        return [p.state for item in self.received for p in item.prompts if p.prompt_id == prompt_id]

    def newest_prompt(self, prompt_id: str) -> Prompt:
        """A prompt in the highest version that followers have received (they keep the highest version)."""
        versions = [p for item in self.received for p in item.prompts if p.prompt_id == prompt_id]
        return max(versions, key=lambda p: p.version)


def _nothing(item: object) -> None:
    """Take what is delivered: its follower has an interest, and `Node` keeps it only once."""


@asynccontextmanager
async def awake(*nodes: Node) -> AsyncIterator[None]:
    """Run the feeds of these nodes, with wake-ups between them."""
    tasks = [
        asyncio.create_task(work)
        for node in nodes
        for work in (node.feed.run(), node.feed.wakeups.run(node.feed.receive))
    ]
    try:
        yield
        assert not [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def node(
    url: str,
    *,
    wrap: Callable[[JobStore], Any] | None = None,
    limits: Limits | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    poll: float = 0.01,
    **settings: Any,
) -> AsyncIterator[Node]:
    """Open a replica and run its engine."""
    database = await Database.open(url)
    try:
        clock = DatabaseClock(SystemClock())
        clock.observe(await database.ping())
        bus, presence = CommitBus(), PresenceIndex()
        hot = HotJobs(monotonic, newest=bus.version_of)
        feed = Feed(database.feed, database.jobs, hot, bus, database.wakeups, poll=poll)
        await feed.start()
        store = wrap(database.jobs) if wrap else database.jobs
        absences = KnownAbsences(database.absences, clock)
        engine = Engine(
            store,
            clock,
            limits or Limits(),
            hot,
            feed.publish,
            attended=presence.is_attended,
            read_electorate=database.people.read_electorate,
            rules=(rules := Rules(database.rules, load_expressions())),
            absences=lambda: absences.book,
            **settings,
        )
        running = asyncio.create_task(engine.run())
        queries = Queries(database.jobs, hot)
        made = Node(database, engine, bus, presence, feed, hot, queries, clock, store, rules, absences)
        feed.follow_prompts(PromptFilter("default"), made.changed.append)
        feed.follow_prompts(PromptFilter("other"), _nothing)
        for namespace in ("default", "other"):
            feed.follow_jobs(JobFilter(namespace), _nothing)
        bus.follow(made.received.append)
        try:
            yield made
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    finally:
        await database.close()
