"""The temporary types in which rows reach PostgreSQL."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
import pytest

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.database import Database
from tests.support.rows import creation, new_job
from tests.support.storage import execute, get_job


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_the_service_says_which_privilege_it_lacks(fresh_db_url: str) -> None:
    admin = await asyncpg.connect(fresh_db_url.replace("+asyncpg", ""))
    name = urlsplit(fresh_db_url).path[1:]
    try:
        await admin.execute("DROP ROLE IF EXISTS askback_plain; CREATE ROLE askback_plain LOGIN")
        await admin.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO askback_plain")
        await admin.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
        with pytest.raises(StorageUnavailable, match="GRANT TEMPORARY"):
            await Database.open(fresh_db_url.replace("postgres@", "askback_plain@"))
    finally:
        await admin.execute("DROP OWNED BY askback_plain; DROP ROLE askback_plain")
        await admin.close()


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
