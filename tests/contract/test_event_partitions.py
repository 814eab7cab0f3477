"""The daily partitions of the log on PostgreSQL: one per day, made ahead and dropped whole."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.database import Database
from askback_server.storage.postgres_days import DAYS_AHEAD, drop_day
from tests.support.rows import creation, event, new_job
from tests.support.storage import execute, fetch


def days(connection: sa.Connection) -> list[str]:
    rows = connection.execute(
        sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'job_events'::regclass")
    )
    return sorted(row[0] for row in rows)


def today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def names(first: int, last: int) -> list[str]:
    return [f"job_events_{today() + timedelta(days=i):%Y%m%d}" for i in range(first, last + 1)]


async def test_partitions_are_created_ahead(pg_url: str) -> None:
    database = await Database.open(pg_url)
    try:
        assert await database._dialect.run(days) == names(-1, DAYS_AHEAD)
        await execute(database, f"DROP TABLE {names(3, 3)[0]}")
        assert await database._dialect.run(days) != names(-1, DAYS_AHEAD)
        await database.queue.make_room()
        assert await database._dialect.run(days) == names(-1, DAYS_AHEAD)
        for ahead in (-1, 0, 1, DAYS_AHEAD):
            job = new_job()
            write = creation(job)
            write.events = [event(job, at=today() + timedelta(days=ahead))]
            assert not (await database.jobs.write([write])).lost
        # There is no default partition: an event without a partition is refused visibly, and the error does
        # not blame the caller's data.
        write = creation(late := new_job())
        write.events = [event(late, at=today() + timedelta(days=DAYS_AHEAD + 1))]
        with pytest.raises(StorageUnavailable, match="partition"):
            await database.jobs.write([write])
    finally:
        await database.close()


async def test_a_new_partition_has_the_indexes_of_its_parent(pg_url: str) -> None:
    database = await Database.open(pg_url)
    try:
        of_day = sa.text("SELECT indexdef FROM pg_indexes WHERE tablename = :name ORDER BY indexdef")
        rows = await fetch(database, of_day.bindparams(name=names(7, 7)[0]))
        columns = [row["indexdef"].partition("USING ")[2] for row in rows]
        assert sorted(columns) == ["btree (id, at)", "btree (job_id, seq)", "btree (xid, id)"]
    finally:
        await database.close()


async def test_dropping_removes_whole_days_only(pg_url: str) -> None:
    database = await Database.open(pg_url)
    try:
        midnight = today()
        run = database._dialect.run
        assert await run(lambda c: drop_day(c, midnight - timedelta(microseconds=1))) == 0
        assert await run(lambda c: drop_day(c, midnight - timedelta(days=1))) == 0
        assert await run(lambda c: drop_day(c, midnight)) == 1
        assert await run(days) == names(0, DAYS_AHEAD)
        # Not even a day that is nearly over.
        assert await run(lambda c: drop_day(c, midnight + timedelta(hours=23))) == 0
        # One day in a transaction, the oldest first.
        dropped = [await run(lambda c: drop_day(c, midnight + timedelta(days=2, hours=1))) for _ in range(3)]
        assert dropped == [1, 1, 0]
        assert await run(days) == names(2, DAYS_AHEAD)
    finally:
        await database.close()


async def test_a_write_creates_its_missing_partition(pg_url: str) -> None:
    """For example after a week without a sweep: the write succeeds."""
    database = await Database.open(pg_url)
    try:
        for day in names(-1, DAYS_AHEAD):
            await execute(database, f"DROP TABLE {day}")
        assert not (await database.jobs.write([creation(new_job())])).lost
        assert await database._dialect.run(days) == names(-1, DAYS_AHEAD)
    finally:
        await database.close()


async def test_replicas_can_create_partitions_concurrently(pg_url: str) -> None:
    databases = [await Database.open(pg_url) for _ in range(4)]
    try:
        for day in names(-1, DAYS_AHEAD):
            await execute(databases[0], f"DROP TABLE {day}")
        await asyncio.gather(*(d.queue.make_room() for d in databases))
        assert await databases[0]._dialect.run(days) == names(-1, DAYS_AHEAD)
    finally:
        for database in databases:
            await database.close()
