"""Two replicas on one real database, with injected write faults and a manual clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.events import Event
from askback_server.domain.limits import Limits
from askback_server.domain.stored_rules import StoredRule
from askback_server.engine.absences import AbsenceKeeper, KnownAbsences
from askback_server.engine.checkpoints import Checkpoints
from askback_server.engine.commit_bus import CommitBus
from askback_server.engine.committed import ChangedPrompts
from askback_server.engine.engine import Engine
from askback_server.engine.hot_jobs import HotJobs
from askback_server.engine.hourly_counts import HourlyCounts
from askback_server.engine.keeper import SessionKeeper
from askback_server.engine.pace import Pace
from askback_server.engine.policy import Policy
from askback_server.engine.purge import Purge
from askback_server.engine.rules import Rules
from askback_server.engine.sweep import Sweep
from askback_server.engine.timers import Timers
from askback_server.expressions import Cel
from askback_server.feed.feed import Feed
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import UnknownOutcome
from askback_server.storage import people_tables, rows, rule_tables, tables
from askback_server.storage.absence_table import absences as absence_table
from askback_server.storage.batch import BatchOutcome
from askback_server.storage.database import Database
from tests.model.manual_clock import ManualClock, PostgresClock, SkewedClock
from tests.model.proposals import APPROVERS
from tests.model.state import CLAIM, GRACE, KEEP

LIMITS = Limits(
    override_allowed=frozenset({"*"}),
    rule_approvers={"default": APPROVERS},
    cancel_grace=timedelta(seconds=GRACE),
    retention_default=timedelta(seconds=KEEP),
    claim_default=timedelta(seconds=CLAIM),
)
TTL = 40.0
FAULTS = ("lost", "cut after", "cut before", "cut for good", "down")
TABLES = (
    *(tables.jobs, tables.events, tables.sessions, people_tables.people, people_tables.group_members),
    absence_table,
    *(rule_tables.rules, rule_tables.rule_revisions, rule_tables.rule_sets),
)
"""Emptied before each run; the others follow."""
CEL = Cel()
CRASHES = ("crash before", "crash after")


class FaultInjector:
    """Replaces the dialect's write: applies the fault in `next` to the next batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect = database._dialect
        self._own: Callable[[Any], Any] = database._dialect.write
        self._dialect.write = self.write  # type: ignore[method-assign]
        self.next = ""
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """With the fault `meanwhile`: what happens between the decision and the write."""
        self.hung = asyncio.Event()
        self.gate: asyncio.Event | None = None
        """If set, the commit of the next write waits for it."""

    async def write(self, batch: Any) -> Any:
        fault, self.next = self.next, ""
        if fault == "lost":
            return BatchOutcome(now=await self._database.ping())
        if fault == "down":
            raise StorageUnavailable("down")
        if fault == "cut before":
            raise UnknownOutcome("cut before the commit")
        if fault == "cut for good":
            self.next = "cut for good"  # the attempt to find out the outcome fails too
            if not self.hung.is_set():
                self.hung.set()
                await self._own(batch)
            raise UnknownOutcome("cut for good")
        if fault == "meanwhile":
            assert self.meanwhile is not None
            await self.meanwhile()
        if fault == "crash before":
            await self._hang()
        outcome = await (self._slow(batch) if self.gate is not None else self._own(batch))
        if fault == "crash after":
            await self._hang()
        if fault == "cut after":
            raise UnknownOutcome("cut after the commit")
        return outcome

    async def _slow(self, batch: Any) -> Any:
        """Write at once, but commit only when the gate opens, after the commits of others."""
        gate, self.gate = self.gate, None
        assert gate is not None
        connection = await self._dialect._connection()  # type: ignore[attr-defined]
        await connection.execute("BEGIN")
        outcome = await self._own(batch)
        self.hung.set()
        await gate.wait()
        await connection.execute("COMMIT")
        return outcome

    async def _hang(self) -> None:
        self.hung.set()
        await asyncio.get_running_loop().create_future()

    def clear(self) -> None:
        self.next, self.gate, self.meanwhile = "", None, None
        self.hung.clear()


@dataclass
class Replica:
    """The engine and storage of one process."""

    database: Database
    faulty: FaultInjector
    clock: DatabaseClock
    engine: Engine
    hot: HotJobs
    rules: Rules
    policy: Policy
    known_absences: KnownAbsences
    absences: AbsenceKeeper
    feed: Feed
    timers: Timers
    sweep: Sweep
    keeper: SessionKeeper
    shown: dict[str, Any]
    """The newest version of each prompt that a follower has received."""
    running: list[asyncio.Task[None]]


class Rig:
    """Two replicas, their database and its clock."""

    def __init__(self, url: str) -> None:
        self.true = ManualClock()
        self.own = [SkewedClock(self.true), SkewedClock(self.true)]
        self._url = url
        self._postgres_clock = PostgresClock(url) if url.startswith("postgresql") else None
        self._databases: list[Database] = []
        self._faulty: list[FaultInjector] = []
        self.replicas: list[Replica] = []

    @property
    def is_postgres(self) -> bool:
        return self._postgres_clock is not None

    async def open(self) -> None:
        if self._postgres_clock is not None:
            await self._postgres_clock.open(self.true.now())
        self._databases = [await Database.open(self._url, self.true) for _ in self.own]
        self._faulty = [FaultInjector(d) for d in self._databases]

    async def close(self) -> None:
        await self.stop()
        for database in self._databases:
            await database.close()
        if self._postgres_clock is not None:
            await self._postgres_clock.close()

    async def begin(self) -> None:
        """Empty the database, reset the clock, and start both replicas."""
        self.true.reset()
        for own in self.own:
            own.fast = timedelta(0)
        await self._set_postgres_clock()
        for table in TABLES:
            await self._databases[0]._dialect.run(lambda c, t=table: c.execute(sa.delete(t)))
        self.replicas = [await self._start(i) for i in range(2)]

    async def stop(self) -> None:
        for replica in self.replicas:
            await self._kill(replica)
        self.replicas = []

    async def _start(self, place: int) -> Replica:
        database, faulty = self._databases[place], self._faulty[place]
        faulty.clear()
        clock = DatabaseClock(self.own[place])
        clock.observe(await database.ping())
        bus = CommitBus()
        hot = HotJobs(self.true.monotonic, newest=bus.version_of)
        feed = Feed(database.feed, database.jobs, hot, bus)
        await feed.start()
        rules = Rules(database.rules, CEL)
        await rules.load()
        known = KnownAbsences(database.absences, clock)
        await known.load()
        engine = Engine(
            database.jobs, clock, LIMITS, hot, feed.publish, rules=rules, absences=lambda: known.book
        )
        absences = AbsenceKeeper(
            database.absences, known, database.people, database.jobs, engine, clock, LIMITS
        )
        policy = Policy(database.rules, database.jobs, engine, rules, CEL, clock, LIMITS)
        timers = Timers(engine, database.queue, clock)
        bus.follow_batches(timers.on_commit)
        shown: dict[str, Any] = {}

        def show(changed: ChangedPrompts) -> None:
            for prompt in changed.prompts:
                if prompt.prompt_id not in shown or shown[prompt.prompt_id].version < prompt.version:
                    shown[prompt.prompt_id] = prompt

        feed.follow_prompts(PromptFilter("default"), show)
        counts = HourlyCounts(database.overview, clock, timedelta(days=400))
        pace = Pace(lambda: engine.idle)
        purge = Purge(engine, database.queue, database.queue_locks, pace)
        checkpoints = Checkpoints(database.checkpoints, clock, str)
        sweep = Sweep(database.queue, clock, 300.0, purge, pace, database.sign_outs, counts, checkpoints)
        keeper = SessionKeeper(database.sessions, database.queue, engine, TTL)
        await timers.load()
        running = [asyncio.create_task(engine.run()), asyncio.create_task(timers.run())]
        return Replica(
            *(
                database,
                faulty,
                clock,
                engine,
                hot,
                rules,
                policy,
                known,
                absences,
                feed,
                timers,
                sweep,
                keeper,
            ),
            *(shown, running),
        )

    async def _kill(self, replica: Replica) -> None:
        for task in replica.running:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def restart(self, place: int) -> None:
        """Replace a replica by a new process."""
        await self._kill(self.replicas[place])
        self.replicas[place] = await self._start(place)
        await self.fire_timers()

    async def advance(self, seconds: float) -> None:
        self.true.passed += seconds
        await self._set_postgres_clock()

    async def _set_postgres_clock(self) -> None:
        if self._postgres_clock is not None:
            await self._postgres_clock.set(self.true.now())

    async def fire_timers(self) -> None:
        """Poll the timers of all replicas and fire the due ones until none is left."""
        for replica in self.replicas:
            await replica.timers.load()
        self.true.fire_due()
        await asyncio.sleep(0)
        while not all(r.timers.idle and r.engine.idle for r in self.replicas):
            await asyncio.sleep(0.0005)
            self.true.fire_due()

    async def read(self, replica: Replica) -> None:
        """Read the feed up to its current end."""
        while await replica.feed.read():
            pass
        replica.hot.resume()

    async def read_uses(self) -> dict[str, int]:
        """How often each rule was used, by its id."""
        used = sa.select(rule_tables.rules.c.rule_id, rule_tables.rules.c.uses)
        return {row["rule_id"]: row["uses"] for row in await self._databases[0].jobs._all(used)}

    async def read_rules(self) -> dict[str, StoredRule]:
        """The rules that are not deleted, by their ids."""
        _, found = await self._databases[0].rules.read_set("default")
        return {rule.rule_id: rule for rule in found}

    async def read_all(self) -> tuple[dict[str, Any], dict[str, list[Event]]]:
        """All rows of jobs, prompts, answers and checkpoints by job id, and all logs."""
        jobs = self._databases[0].jobs
        found: dict[str, Any] = {}
        for row in await jobs._all(sa.select(tables.jobs)):
            job = rows.to_job(row)
            found[job.job_id] = {"job": job, "prompts": {}, "answers": {}, "steps": {}}
        for row in await jobs._all(sa.select(tables.prompts).order_by(tables.prompts.c.round_number)):
            prompt = rows.to_prompt(row)
            found[prompt.job_id]["prompts"][prompt.prompt_id] = prompt
        for row in await jobs._all(sa.select(tables.answers)):
            answer = rows.to_submission(row)
            found[answer.job_id]["answers"][answer.prompt_id, answer.answer.answer_id] = answer
        for row in await jobs._all(sa.select(tables.checkpoints)):
            point = rows.to_checkpoint(row)
            found[point.job_id]["steps"][point.key] = point.value_json
        logs: dict[str, list[Event]] = {}
        query = sa.select(tables.events).order_by(tables.events.c.job_id, tables.events.c.seq)
        for row in await jobs._all(query):
            event = rows.to_event(row)
            logs.setdefault(event.job_id, []).append(event)
        return found, logs
