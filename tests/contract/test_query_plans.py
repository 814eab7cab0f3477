"""Query plans: the batch write and the frequent reads use indexes, whatever the size of the tables."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.jobs import JobState
from askback_server.domain.principals import Principal
from askback_server.ports.clock import uuid7
from askback_server.ports.queries import JobFilter, PromptFilter, PromptOrder, PromptPosition
from askback_server.ports.storage import Position, Wanted
from askback_server.storage.aggregate_reads import parts_wanted
from askback_server.storage.batch import DELETES, PARTS
from askback_server.storage.database import Database
from askback_server.storage.postgres import _compile
from askback_server.storage.postgres_pools import WRITER_SETTINGS
from askback_server.storage.postgres_rows import RowTypes
from tests.support.aggregates import BOB, question
from tests.support.plans import analyse, cost_of, plan_of, statements_of
from tests.support.rows import as_closed, creation, new_job, new_prompt
from tests.support.storage import execute
from tests.support.streams import ABSENT_ID

SHAPES = [
    ("changed_jobs", "new_prompts", "events"),
    ("changed_jobs", "changed_prompts", "answers", "events"),
    ("changed_jobs", "amended_prompts", "checkpoints", "understandings", "events"),
    ("changed_jobs", "events", DELETES),
    ("new_jobs", "new_prompts", "events"),
    (*PARTS, DELETES),
]


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
@pytest.mark.parametrize("shape", SHAPES, ids="-".join)
async def test_the_batch_write_scans_no_table(shape: tuple[str, ...], fresh_db_url: str) -> None:
    """On a database of its own: another test's rows may have left statistics on the shared one."""
    parts = urlsplit(fresh_db_url)
    connection = await asyncpg.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        database=parts.path[1:],
        server_settings={**WRITER_SETTINGS, "application_name": "plans"},
    )
    try:
        sql, named = _compile(shape)
        await RowTypes().create(connection, named)
        # The tables are empty: the worst case for a plan that depends on statistics.
        lines = await connection.fetch(f"EXPLAIN {sql}", *[[] for _ in named])
    finally:
        await connection.close()
    plan = "\n".join(line[0] for line in lines)
    assert "Seq Scan" not in plan, plan
    assert "Hash Join" not in plan, plan
    assert "Materialize" not in plan, plan
    for line in plan.splitlines():
        if "Index Scan using" in line:
            condition = plan[plan.index(line) + len(line) :].split("\n", 2)[1]
            assert "Index Cond" in condition, f"a whole index is read: {line}\n{plan}"


@pytest.fixture
async def long_backlog(fresh_db_url: str) -> AsyncIterator[Database]:
    """A database with many ended jobs and a long backlog of the type `mail`, and statistics of them."""
    database = await Database.open(fresh_db_url)
    try:
        at = await database.ping() - timedelta(minutes=1)
        for _ in range(10):
            ended = [new_job(ready_at=None, state=JobState.COMPLETED) for _ in range(500)]
            ready = [new_job(ready_at=at, job_type="mail", priority=1) for _ in range(200)]
            await database.jobs.write([creation(j) for j in (*ended, *ready)])
        await execute(database, "ANALYZE jobs")
        yield database
    finally:
        await database.close()


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_the_search_for_claimable_jobs_walks_the_index_of_ready_jobs(long_backlog: Database) -> None:
    """The planner chooses a short index walk per type, no scan."""
    limits = {("default", job_type): 4 for job_type in ("mail", "refund", "none")}
    plan = await analyse(long_backlog, long_backlog.queue.claimable(limits))
    assert "Seq Scan" not in plan, plan
    assert "Index Cond: ((namespace = each.one) AND (job_type = each.other))" in plan, plan
    assert "loops=3" in plan, plan
    assert "Rows Removed" not in plan, plan
    read = max(int(n) for n in re.findall(r"Index Scan using ix_jobs_ready.*rows=(\d+)", plan))
    assert read <= 5, plan


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_the_search_for_queues_jumps_over_the_jobs_of_a_type(long_backlog: Database) -> None:
    """Each step reads an entry of the index, and not the backlog behind it."""
    names = {"default": "", "other": ""}
    plan = await analyse(long_backlog, long_backlog.queue.list_queues(names, 100))
    assert "Seq Scan" not in plan, plan
    assert "(namespace = walk_1.namespace) AND (job_type > walk_1.job_type)" in plan, plan
    assert "(namespace = walk.namespace) AND (job_type = walk.job_type)" in plan, plan
    read = [int(n) for n in re.findall(r"using ix_jobs_ready.*\(actual rows=(\d+)", plan)]
    assert read, plan
    assert max(read) <= 1, plan


async def test_id_suffixes_are_found_by_an_index(database: Database) -> None:
    """On both databases, also for suffixes of seven characters."""
    urgent = PromptFilter("default", states=())
    for call, index in (
        (database.jobs.list_jobs(JobFilter("default", id_suffix="1abcdef"), 10, None, 999), "ix_jobs_handle"),
        (
            database.jobs.list_prompts(replace(urgent, id_suffix="abcdef"), 10, None, 999),
            "ix_hitl_interactions_handle",
        ),
        (
            database.jobs.list_prompts(replace(urgent, job_id_suffix="abcdef"), 10, None, 999),
            "ix_jobs_handle",
        ),
    ):
        [statement] = await statements_of(call)
        plan = await plan_of(database, statement)
        assert index in plan, plan
        assert "SCAN" not in plan, plan


@pytest.mark.parametrize("after", [None, ("2026-01-01T00:00:00+00:00", uuid7())], ids=["first", "next"])
async def test_a_persons_answers_are_read_from_an_index_in_order(
    database: Database, after: tuple[Any, ...] | None
) -> None:
    """A page is a walk of the index that stops at its end: no scan, no sort, so its cost does not grow with
    the number of prompts. The count walks the same index."""
    filter = PromptFilter("default", states=(), answered_by="ann", viewer=BOB, order=PromptOrder.CLOSE_TIME)
    [sizes] = await statements_of(database.jobs.list_prompts(filter, 50, after, 1 << 20))
    [count] = await statements_of(database.jobs.count_prompts(filter))
    for statement in (sizes, count):
        plan = await plan_of(database, statement)
        assert "ix_hitl_interactions_answered" in plan, plan
        assert not re.search("SCAN h|Seq Scan|Sort|TEMP B-TREE", plan), plan
    plan = await plan_of(database, sizes)
    from_cursor = r"Index Cond.*\(ROW\(responded_at, interaction_id\) <|AND \(responded_at,interaction_id\)<"
    assert after is None or re.search(from_cursor, plan), plan


async def test_what_ends_soon_is_found_by_its_deadline(fresh_db_url: str) -> None:
    """Every `inbox ls` asks for it, also in a namespace with very many open prompts."""
    database = await Database.open(fresh_db_url)
    try:
        at = datetime(2030, 1, 1, tzinfo=UTC)
        jobs_ = [new_job() for _ in range(2_000)]
        ends = [at + timedelta(minutes=n) for n in range(len(jobs_))]
        await database.jobs.write(
            [creation(job, new_prompt(job, expires_at=end)) for job, end in zip(jobs_, ends, strict=True)]
        )
        if database._dialect.name == "postgresql":
            await execute(database, "ANALYZE hitl_interactions")  # as its server does by itself
        soon = PromptFilter("default", expires_before=at + timedelta(minutes=5), viewer=BOB)
        sizes, _ = await statements_of(database.jobs.list_prompts(soon, 50, None, 1 << 20))
        [count] = await statements_of(database.jobs.count_prompts(soon))
        plans = [await plan_of(database, statement) for statement in (sizes, count)]
    finally:
        await database.close()
    for plan in plans:
        assert "ix_hitl_interactions_due" in plan, plan
        assert "ix_hitl_interactions_urgency" not in plan, plan
        assert not re.search("SCAN h|Seq Scan", plan), plan


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_the_search_for_due_timers_uses_indexes_only(database: Database) -> None:
    """Every replica runs it twice per second, so it must read only what is due."""
    [statement] = await statements_of(database.queue.list_due(timedelta(seconds=1.5), 5000))
    plan = await plan_of(database, statement)
    for index in (
        "hitl_interactions_due",
        "hitl_interactions_nudge",
        "jobs_deadline",
        "jobs_run",
        "jobs_cancel",
    ):
        at = plan.index(f"ix_{index} ")
        assert "Index Cond" in plan[at:].split("\n", 2)[1], plan
    assert "Seq Scan" not in plan
    assert plan.count("Sort") == 0, plan


VIEWS = (
    PromptFilter("default"),
    PromptFilter("default", Principal("ann", groups=frozenset({"law"})), ("refund",), ("confirm",)),
)
POSITIONS = (None, (3, None, ABSENT_ID), (3, "2030-01-01T00:00:00+00:00", ABSENT_ID))


@pytest.mark.parametrize("after", POSITIONS, ids=("first", "without a deadline", "with one"))
@pytest.mark.parametrize("view", VIEWS, ids=("all", "narrow"))
async def test_a_page_of_an_inbox_starts_at_its_place_in_the_index(
    database: Database, view: PromptFilter, after: PromptPosition | None
) -> None:
    """Otherwise a page would cost as much as all pages before it, and a snapshot the square of its size."""
    statements = await statements_of(database.jobs.list_prompts(view, 20, after, 1 << 20))
    assert len(statements) == (1 if after is None else 2 if after[1] is None else 3)
    for statement, bounds in zip(statements, _bounds(database, after), strict=True):
        plan = await plan_of(database, statement)
        assert "ix_hitl_interactions_urgency" in plan, plan
        assert "SCAN hitl" not in plan, plan
        assert "Sort" not in plan, plan
        assert "B-TREE" not in plan, plan
        [condition] = [line for line in plan.splitlines() if "Index Cond" in line or "SEARCH hitl" in line]
        for bound in bounds:
            assert bound in condition, plan


def _bounds(database: Database, after: PromptPosition | None) -> list[tuple[str, ...]]:
    """What the index condition of each statement of a page must contain."""
    if database.jobs._dialect.name == "sqlite":
        same = ("priority=?", "<expr>=?", "interaction_id>?")
        later, lower = ("priority=?", "<expr>>?"), ("priority<?",)
    else:
        same = ("priority = ", "COALESCE(timeout_at, ", " = ", "interaction_id > ")
        later, lower = ("priority = ", "COALESCE(timeout_at, ", " > "), ("priority < ",)
    if after is None:
        return [("namespace",)]
    return [same, lower] if after[1] is None else [same, later, lower]


async def test_the_rows_of_a_page_are_read_by_their_ids_alone(database: Database) -> None:
    """With further conditions both planners chose the index of the inbox, and read all of it."""
    job = new_job()
    await database.jobs.write([creation(job, new_prompt(job))])
    narrow = VIEWS[1]
    _, page = await statements_of(database.jobs.list_prompts(narrow, 20, None, 1 << 20))
    plan = await plan_of(database, page)
    assert re.search(r"(pk_hitl_interactions|sqlite_autoindex_hitl_interactions_1)\b", plan), plan
    assert "namespace" not in plan, plan


@pytest.mark.parametrize("equal", ["priority", "deadline", "neither"])
async def test_the_last_page_costs_as_much_as_the_first(database: Database, equal: str) -> None:
    """Counted in rows that PostgreSQL reads, and in steps of SQLite's program."""
    at = datetime(2030, 1, 1, tzinfo=UTC)
    jobs_ = [new_job() for _ in range(600)]
    contents = [question(priority=0 if equal == "priority" else n % 7) for n in range(len(jobs_))]
    deadlines = [None if equal == "deadline" else at + timedelta(seconds=n % 50) for n in range(len(jobs_))]
    await database.jobs.write(
        [
            creation(job, new_prompt(job, content, expires_at=deadline))
            for job, content, deadline in zip(jobs_, contents, deadlines, strict=True)
        ]
    )
    costs, after = [], None
    for _ in range(30):
        statements = await statements_of(database.jobs.list_prompts(VIEWS[0], 20, after, 1 << 20))
        costs.append(sum([await cost_of(database, statement) for statement in statements[:-1]]))
        after = (await database.jobs.list_prompts(VIEWS[0], 20, after, 1 << 20)).next
    assert after is None
    assert max(costs[:-1]) <= 3 * costs[0], costs


async def test_the_log_is_read_from_a_position_on(database: Database) -> None:
    """Also on SQLite, which serves only the first column of a row comparison."""
    after, end = Position(0, 3), Position(0, 7)
    statements = [
        *await statements_of(database.feed.after(after, 10)),
        *await statements_of(database.overview.count_after(after, 10)),
        database.overview.grouped(after, end),
    ]
    part = r"\(xid=\? AND id>\?|Index Cond: \(\(?ROW\(xid, id\) > ROW"
    for statement in statements:
        plan = await plan_of(database, statement)
        for index in re.finditer("ix_job_events_feed|xid_id_idx", plan):
            assert re.search(part, plan[index.start() :].split("->", 1)[0]), plan


async def test_a_decision_reads_the_open_and_the_named_prompts_of_its_job(fresh_db_url: str) -> None:
    """Not the thousands that the job has had."""
    database = await Database.open(fresh_db_url)
    try:
        job = new_job()
        closed = [as_closed(new_prompt(job, key=f"k{n}", round=n)) for n in range(2, 500)]
        await database.jobs.write([creation(job, new_prompt(job, key="open", round=500), *closed)])
        others = [new_job() for _ in range(50)]
        await database.jobs.write(
            [creation(o, *(new_prompt(o, key=f"k{n}") for n in range(9))) for o in others]
        )
        if database._dialect.name == "postgresql":
            await execute(database, "ANALYZE hitl_interactions")  # as its server does by itself
        wanted = [Wanted(job_id=job.job_id, prompt_ids={closed[0].prompt_id}, keys={"k7", "none"})]
        arrays = {"job_ids": [job.job_id], "prompt_ids": [closed[0].prompt_id], "keys": ["k7", "none"]}
        statement = parts_wanted(type(database._dialect), frozenset(arrays), first=False)
        plan = await plan_of(database, statement, **arrays)
        [found] = await database.jobs.load(wanted)
    finally:
        await database.close()
    assert sorted(p.key for p in found.prompts.values()) == ["k2", "k7", "open"]
    steps = [
        r"ix_hitl_interactions_job (\(job_id=\? AND responded_at=\?\)|.*\n.*Index Cond: \(job_id = )",
        r"(\(interaction_id=\?\)|pk_hitl_interactions.*\n.*Index Cond: \(interaction_id = )",
        r"(\(job_id=\? AND key=\?\)|uq_hitl_interactions_key.*\n.*Index Cond: \(\(job_id = .* AND \(key = )",
    ]
    for step in steps:
        assert re.search(step, plan), plan


@pytest.mark.parametrize("read", ["load", "load_by_prompts", "get_jobs_and_prompts"])
async def test_a_job_and_its_prompts_are_read_by_one_statement_and_their_keys(
    database: Database, read: str
) -> None:
    job = new_job()
    asked, closed = new_prompt(job), as_closed(new_prompt(job, key="k2", round=2))
    await database.jobs.write([creation(job, asked, closed)])
    ids = [closed.prompt_id, ABSENT_ID]
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "load": lambda: database.jobs.load([Wanted(job_id=job.job_id, prompt_ids={*ids})]),
        "load_by_prompts": lambda: database.jobs.load_by_prompts(ids),
        "get_jobs_and_prompts": lambda: database.jobs.get_jobs_and_prompts([job.job_id], ids),
    }
    [statement] = await statements_of(calls[read]())
    plan = await plan_of(database, statement)
    for keys in (r"(pk_hitl_interactions|\(interaction_id=\?\))", r"(pk_jobs|\(job_id=\?\))"):
        assert re.search(keys, plan), plan
    assert not re.search("SCAN (h|jobs|named)|Seq Scan", plan), plan
    found = await calls[read]()
    if read == "get_jobs_and_prompts":
        assert found == ([job], [closed])
    else:
        assert found == [Aggregate(job, {p.prompt_id: p for p in (asked, closed)})]
