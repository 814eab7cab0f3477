"""The temporary types in which rows reach PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg
import pytest

from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.storage import Lost
from askback_server.storage.database import Database
from askback_server.storage.postgres import Postgres
from tests.support.rows import creation, new_job, step, with_children
from tests.support.storage import execute, get_job


@pytest.fixture
async def admin(fresh_db_url: str) -> AsyncIterator[asyncpg.Connection]:
    """An administrator, and a role `askback_plain` for the service."""
    connection = await asyncpg.connect(fresh_db_url.replace("+asyncpg", ""))
    await connection.execute("DROP ROLE IF EXISTS askback_plain; CREATE ROLE askback_plain LOGIN")
    for what in ("TABLES", "SEQUENCES"):
        await connection.execute(f"GRANT ALL ON ALL {what} IN SCHEMA public TO askback_plain")
    yield connection
    await connection.execute("DROP OWNED BY askback_plain; DROP ROLE askback_plain")
    await connection.close()


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_the_service_says_which_privilege_it_lacks(
    fresh_db_url: str, admin: asyncpg.Connection
) -> None:
    await admin.execute(f"REVOKE TEMPORARY ON DATABASE {urlsplit(fresh_db_url).path[1:]} FROM PUBLIC")
    with pytest.raises(StorageUnavailable, match="GRANT TEMPORARY"):
        await Database.open(fresh_db_url.replace("postgres@", "askback_plain@"))


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_a_running_writer_says_which_privilege_was_taken_from_it(
    fresh_db_url: str, admin: asyncpg.Connection
) -> None:
    """What it has types for goes on. The reasons of lost guards need one too: they count as versions."""
    name, job = urlsplit(fresh_db_url).path[1:], new_job()
    database = await Database.open(fresh_db_url.replace("postgres@", "askback_plain@"))
    try:
        await database.jobs.write([creation(job)])
        await database.jobs.write([step(job)])
        await admin.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
        other = with_children(creation(new_job()))
        with pytest.raises(StorageUnavailable, match=r"^the role needs TEMPORARY .*: GRANT TEMPORARY"):
            await database.jobs.write([other])
        stale = await database.jobs.write([step(replace(job, version=7))])
        assert stale.lost == {job.job_id: Lost.VERSION}
        await admin.execute(f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC")
        assert not (await database.jobs.write([other])).lost
    finally:
        await database.close()


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_types_that_another_client_of_a_pooler_has_left_are_replaced(fresh_db_url: str) -> None:
    database, job = await Database.open(fresh_db_url), new_job()
    try:
        assert isinstance(database._dialect, Postgres)
        writer = await database._dialect._connection()
        await writer.execute("CREATE TYPE pg_temp.askback_new_jobs AS (other integer)")
        assert not (await database.jobs.write([creation(job)])).lost
        assert await get_job(database, job.job_id) == job
    finally:
        await database.close()


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_a_column_of_a_later_version_does_not_disturb_the_writer(fresh_db_url: str) -> None:
    """The types are those of the program, and not of the tables, which a migration has changed meanwhile."""
    database = await Database.open(fresh_db_url)
    try:
        first, second = new_job(), new_job()
        await database.jobs.write([creation(first)])
        await execute(database, "ALTER TABLE jobs ADD COLUMN later integer")
        assert not (await database.jobs.write([creation(second)])).lost
        assert await get_job(database, second.job_id) == second
    finally:
        await database.close()
