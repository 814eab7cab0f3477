"""What the deletion of a job costs, in counted units: it does not grow with what else is stored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from askback_server.domain.aggregate import Guard
from askback_server.domain.jobs import Job, JobState
from askback_server.ports.storage import JobWrite
from askback_server.storage.batch import lay_out
from askback_server.storage.database import Database
from askback_server.storage.postgres import _compile
from askback_server.storage.postgres_pools import WRITER_SETTINGS
from askback_server.storage.postgres_rows import RowTypes
from askback_server.storage.reader import Reader
from askback_server.storage.sqlite_removal import _DELETE_JOBS, _GUARDED, _STEPS
from tests.support.plans import cost_of, plan_of, statements_of
from tests.support.purging import due_jobs, purge_of
from tests.support.rows import as_closed, creation, event, new_job, new_prompt, now
from tests.support.storage import DelegatingStore, execute, node

SIZES = (100, 2_000)
"""Jobs stored beside those that are deleted."""


async def fill(database: Database, count: int) -> None:
    """Store ended jobs whose retention goes on, each with a closed prompt."""
    later = now() + timedelta(days=30)
    jobs = [new_job(state=JobState.COMPLETED, ready_at=None, purge_at=later) for _ in range(count)]
    await database.jobs.write([creation(job, as_closed(new_prompt(job))) for job in jobs])
    if database._dialect.name == "postgresql":
        await execute(database, "ANALYZE")  # as its server does by itself


async def test_statements_for_each_deleted_job_do_not_grow(
    fresh_db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge reads and writes as often with 2,000 stored jobs as with 100: once for each batch."""
    reads = 0
    own = Reader._read

    async def count(self: Reader, *args: Any) -> Any:
        nonlocal reads
        reads += 1
        return await own(self, *args)

    found = []
    async with node(fresh_db_url, wrap=DelegatingStore) as here:
        for size in SIZES:
            await fill(here.database, size)
            await due_jobs(here, 200, rounds=1)
            here.store.batches.clear()
            with monkeypatch.context() as patched:
                patched.setattr(Reader, "_read", count)
                reads = 0
                assert await purge_of(here).run() == 200
            found.append((reads, len(here.store.batches)))
    assert found[0] == found[1]
    assert found[0] == (4, 4)


async def test_rows_read_for_each_deleted_job_do_not_grow(fresh_db_url: str, database_kind: str) -> None:
    """Counted in rows that PostgreSQL's plan reads, and in steps of SQLite's program."""
    costs = []
    async with node(fresh_db_url) as here:
        for size in SIZES:
            await fill(here.database, size)
            jobs = await due_jobs(here, 64)
            count = _rows_read if database_kind == "postgres" else _steps
            costs.append(await count(here.database, fresh_db_url, jobs))
            assert await purge_of(here).run() == 64
    assert costs[1] <= 1.2 * costs[0], costs
    # The job, its prompt, answer and checkpoint, each found and then deleted, and the steps between.
    assert database_kind == "sqlite" or costs[0] <= 64 * 20, costs


def _deletions(jobs: Sequence[Job]) -> list[JobWrite]:
    guard = {job.job_id: Guard(not_before=job.purge_at) for job in jobs}
    return [
        JobWrite(job, job.version, guard[job.job_id], events=[event(job)], deleted=True, in_steps=True)
        for job in jobs
    ]


async def _rows_read(database: Database, url: str, jobs: Sequence[Job]) -> int:
    batch = lay_out(_deletions(jobs))
    sql, parts = _compile(batch.shape)
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), server_settings=dict(WRITER_SETTINGS))
    try:
        await RowTypes().create(connection, parts)
        running = connection.transaction()
        await running.start()
        values = [getattr(batch, part) for part in parts]
        lines = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}", *values)
        await running.rollback()
    finally:
        await connection.close()
    # A bitmap's rows are counted where the table is read, not in its index too.
    scan = r"(?<!CTE )(?<!Bitmap Index )Scan.*actual rows=(\d+) loops=(\d+)"
    scans = [re.search(scan, row[0]) for row in lines]
    removed = [re.search(r"Rows Removed.*: (\d+)", row[0]) for row in lines]
    return sum(int(n[1]) * int(n[2]) for n in scans if n) + sum(int(n[1]) for n in removed if n)


async def _steps(database: Database, url: str, jobs: Sequence[Job]) -> int:
    dialect: Any = database._dialect
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    dialect._writer._raw.set_progress_handler(count, 10)
    try:
        assert not (await database.jobs.write(_deletions(jobs))).lost
    finally:
        dialect._writer._raw.set_progress_handler(None, 10)
    await database.jobs.write([creation(job) for job in jobs])
    return steps


async def test_expired_jobs_are_listed_from_where_the_last_list_ended(database: Database) -> None:
    """The entries of deleted jobs stay in PostgreSQL's index until it is vacuumed."""
    at = now() - timedelta(days=1)
    [statement] = await statements_of(database.queue.list_expired(50, at))
    plan = await plan_of(database, statement)
    assert "ix_jobs_purge" in plan, plan
    assert not re.search("SCAN jobs|Seq Scan|Sort|TEMP B-TREE", plan), plan
    assert re.search(
        r"purge_at>\? AND purge_at<\?|Index Cond: \(\(purge_at <= .* AND \(purge_at >= ", plan
    ), plan


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_the_first_events_are_read_and_no_others(database: Database) -> None:
    """Their times have no index: a search for old ones would read the whole log."""
    statement = database._dialect.last_to_drop(now(), 100)
    plan = await plan_of(database, statement)
    [scan] = {line for line in plan.splitlines() if "job_events" in line}
    assert "ix_job_events_feed" in scan, plan
    assert "B-TREE" not in plan.replace("USE TEMP B-TREE FOR ORDER BY", "", 1), plan


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("age", [0, 9], ids=["nothing is old", "all is old"])
async def test_the_search_for_old_events_does_not_grow_with_the_log(fresh_db_url: str, age: int) -> None:
    """Every sweep makes it, and each step of a deletion."""
    database = await Database.open(fresh_db_url)
    at = now() - timedelta(days=age)
    costs = []
    try:
        for size in SIZES:
            writes = [creation(new_job()) for _ in range(size)]
            for write in writes:
                write.events = [event(write.job, at=at)]
            await database.jobs.write(writes)
            search = database._dialect.last_to_drop(now() - timedelta(days=5), 50)
            costs.append(await cost_of(database, search))
    finally:
        await database.close()
    assert costs[1] <= 1.2 * costs[0], costs


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_the_search_for_old_events_reads_old_days_only(database: Database) -> None:
    day = now().replace(hour=0, minute=0, second=0, microsecond=0)
    plan = await plan_of(database, database._dialect.last_to_drop(day, 50))
    read = set(re.findall(r"job_events_(\d{8})", plan))
    assert read == {f"{day - timedelta(days=1):%Y%m%d}"}, plan
    assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_steps_of_a_deletion_find_rows_by_their_job(database: Database) -> None:
    """On PostgreSQL the plan of the batch shows it (test_query_plans.py)."""
    dialect: Any = database._dialect
    listed = [statement for pair in _STEPS for statement in pair] + [_DELETE_JOBS]
    texts = [(each._sql, {**each._constants, "listed": "[]"}) for each in listed]
    for sql, values in [*texts, (_GUARDED, ("[]",))]:
        rows = await database._dialect.run(
            lambda c, sql=sql, values=values: dialect._writer._raw.execute(
                f"EXPLAIN QUERY PLAN {sql}", values
            ).fetchall()
        )
        plan = "\n".join(row[-1] for row in rows)
        for line in plan.splitlines():
            assert not re.match(r"SCAN (jobs|hitl|job_)", line), f"{sql}\n{plan}"
