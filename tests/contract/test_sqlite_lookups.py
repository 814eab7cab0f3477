"""SQLite's look-ups by the driver: they return what SQLAlchemy returns."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain.content import Audience
from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.prompts import PromptState
from askback_server.in_process import LeapingClock
from askback_server.storage.aggregate_reads import parts_wanted
from askback_server.storage.database import Database
from askback_server.storage.sqlite import SQLite
from askback_server.storage.sqlite_lookups import THREADS
from askback_server.storage.tables import jobs, prompts
from tests.support.aggregates import question
from tests.support.rows import as_closed, creation, new_job, new_prompt, submission
from tests.support.storage import LONG


async def by_sqlalchemy(database: Database, statement: Any, **arrays: Sequence[str]) -> list[dict[str, Any]]:
    given = {name: json.dumps(values) for name, values in arrays.items()}
    async with database._dialect.reads.connect() as connection:
        return [dict(row) for row in (await connection.execute(statement, given)).mappings()]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_rows_equal_those_of_sqlalchemy(database: Database) -> None:
    """Times, yes and no, documents, absent values, and the columns of a union with a join."""
    job = new_job(labels={"a": "b"}, timeout=LONG, workerless=True, input_json="1e2")
    one = new_prompt(job, question(audience=Audience(frozenset({"ann"})), timeout=LONG, blocking=False))
    two = as_closed(new_prompt(job, submissions=1, round=2), PromptState.ANSWERED)
    write = creation(job, one, two)
    write.submissions.append(submission(two))
    await database.jobs.write([write])
    among = SQLite.among_array
    ids, given = [one.prompt_id, two.prompt_id], ("job_ids", "prompt_ids", "answer_ids")
    for statement, arrays in (
        (sa.select(jobs).where(among(jobs.c.job_id, "ids")), {"ids": [job.job_id]}),
        (sa.select(prompts).where(among(prompts.c.interaction_id, "ids")), {"ids": ids}),
        (
            parts_wanted(SQLite, frozenset(given), False),
            {"job_ids": [job.job_id], "prompt_ids": ids, "answer_ids": ["a1"]},
        ),
    ):
        expected = await by_sqlalchemy(database, statement, **arrays)
        found = [dict(row) for row in await database._dialect.look_up(statement, arrays)]
        assert found == expected
        assert [list(map(type, row.values())) for row in found] == [
            list(map(type, row.values())) for row in expected
        ]
        assert found


async def test_the_time_is_read_when_a_statement_runs(lite_url: str) -> None:
    """The statement is compiled once."""
    clock = LeapingClock()
    database = await Database.open(lite_url, clock)
    try:
        job = new_job(ready_at=None)
        due = new_prompt(job, question(timeout=LONG))
        await database.jobs.write([creation(job, due)])
        before, found = await database.queue.list_due(timedelta(seconds=1), 10)
        assert found == []
        clock.leap(LONG)
        now, found = await database.queue.list_due(timedelta(seconds=1), 10)
        assert now - before >= LONG
        assert found == [(due.expires_at, "due", job.job_id)]
    finally:
        await database.close()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_statement_that_sqlite_cannot_run_means_that_it_is_unavailable(database: Database) -> None:
    """As by SQLAlchemy. The next look-up works."""
    missing = sa.select(sa.table("missing", sa.column("a")).c.a)
    with pytest.raises(StorageUnavailable, match="no such table: missing"):
        await database._dialect.look_up(missing, {"most": 1})
    assert await database.jobs.get_jobs([new_job().job_id]) == []


async def test_closing_the_database_closes_the_connections_of_look_ups(lite_url: str) -> None:
    database = await Database.open(lite_url)
    await database.jobs.get_jobs([new_job().job_id])
    opened = [*database._dialect._lookups._idle]  # type: ignore[attr-defined]
    await database.close()
    assert len(opened) == THREADS
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


async def test_all_connections_for_reads_are_open_from_the_start(lite_url: str) -> None:
    """When a flood of clients has taken all file descriptors, none could be opened."""
    database = await Database.open(lite_url)
    try:
        before = database.census.connections()
        assert before == {"in_use": 0, "idle": 2 * THREADS + 1}
        await asyncio.gather(*(database.jobs.get_jobs([new_job().job_id]) for _ in range(20)))
        assert database.census.connections() == before
    finally:
        await database.close()


async def test_a_connection_that_cannot_be_opened_fails_the_start(
    lite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(SQLite, "_connect_reader", fail)
    with pytest.raises(StorageUnavailable, match="unable to open"):
        await Database.open(lite_url)
