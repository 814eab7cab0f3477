"""A migration waits for its locks up to a limit, and its error names the holder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage import migration_lock
from askback_server.storage.migrate import upgrade
from tests.support.migrations import use_next_migration
from tests.support.postgres import PostgresServer
from tests.support.processes import eventually

LOCK = migration_lock._LOCK


@pytest.fixture
def empty(postgres: PostgresServer) -> str:
    """A database without tables."""
    return postgres.create_database()


@asynccontextmanager
async def session(url: str, name: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        url.replace("+asyncpg", ""), server_settings={"application_name": name}
    )
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("kind", ["session", "transaction"])
async def test_the_holder_of_the_migration_lock_is_named(empty: str, kind: str) -> None:
    async with session(empty, "another release") as other:
        await other.execute("BEGIN")
        taken = "pg_advisory_lock" if kind == "session" else "pg_advisory_xact_lock"
        await other.execute(f"SELECT {taken}({LOCK})")
        pid = await other.fetchval("SELECT pg_backend_pid()")
        message = rf"waited 0 s for another migration, held by process {pid} \(another release, user postgres"
        with pytest.raises(StorageUnavailable, match=message):
            await asyncio.to_thread(upgrade, empty, wait=0)
    await asyncio.to_thread(upgrade, empty, wait=0)


async def test_a_migration_waits_for_a_reader_of_a_table_and_names_it(
    empty: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(migration_lock, "_TABLE_LOCK", "50ms")
    await asyncio.to_thread(upgrade, empty)
    use_next_migration(monkeypatch, tmp_path)
    async with session(empty, "a report") as other:
        await other.execute("BEGIN")
        await other.execute("SELECT count(*) FROM jobs")
        with pytest.raises(
            StorageUnavailable, match=r"for a table that is in use, held by process \d+ \(a rep"
        ):
            await asyncio.to_thread(upgrade, empty, wait=0)
        waiting = asyncio.create_task(asyncio.to_thread(upgrade, empty, wait=60))
        await other.execute("ROLLBACK")
        await waiting


async def test_a_prepared_transaction_that_holds_a_table_lock_is_named(
    empty: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A prepared transaction holds its locks without a session, even after a restart of the server."""
    monkeypatch.setattr(migration_lock, "_TABLE_LOCK", "50ms")
    await asyncio.to_thread(upgrade, empty)
    use_next_migration(monkeypatch, tmp_path)
    async with session(empty, "two phases") as other:
        await other.execute("BEGIN")
        await other.execute("LOCK TABLE jobs")
        await other.execute("PREPARE TRANSACTION 'left over'")
        try:
            message = "a table that is in use, held by the prepared transaction 'left over' .user postgres"
            with pytest.raises(StorageUnavailable, match=message):
                await asyncio.to_thread(upgrade, empty, wait=0)
        finally:
            await other.execute("ROLLBACK PREPARED 'left over'")
    await asyncio.to_thread(upgrade, empty, wait=0)


LARGE = {
    "ix_hitl_interactions_answered": "0003_overview",
    "ix_hitl_interactions_closed": "0008_open_prompts_of_jobs",
}
"""Indexes of tables that may be large, and the migration before theirs."""


async def invalid_indexes(connection: asyncpg.Connection) -> list[str]:
    found = await connection.fetch("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
    return [row[0] for row in found]


@asynccontextmanager
async def open_report(url: str, index: str) -> AsyncIterator[asyncpg.Connection]:
    """A session with a long transaction in a database that lacks the index."""
    await asyncio.to_thread(upgrade, url, LARGE[index])
    async with session(url, "a report") as other:
        # Its snapshot is older than the index, which is complete only after its end.
        await other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await other.execute("SELECT count(*) FROM jobs")
        yield other


async def is_begun(connection: asyncpg.Connection, index: str, migrating: asyncio.Task[object]) -> bool:
    assert not migrating.done(), "it did not wait for the report: the index was made in a transaction"
    return index in await invalid_indexes(connection)


@pytest.mark.parametrize("index", LARGE)
async def test_prompts_can_be_written_while_an_index_is_made(empty: str, index: str) -> None:
    async with open_report(empty, index) as other, session(empty, "writer") as writer:
        migrating = asyncio.create_task(asyncio.to_thread(upgrade, empty, wait=60))
        # The index is listed as invalid from its creation until the end of the report.
        await eventually(lambda: is_begun(writer, index, migrating), "the index has begun")
        await writer.execute("SET lock_timeout = '2s'")
        await writer.execute("DELETE FROM hitl_interactions")  # takes the lock that any write needs
        assert not migrating.done()
        await other.execute("ROLLBACK")
        await migrating
        assert await invalid_indexes(writer) == []


@pytest.mark.parametrize("index", LARGE)
async def test_an_interrupted_index_is_made_again(empty: str, index: str) -> None:
    async with open_report(empty, index) as other, session(empty, "watch") as watch:
        with pytest.raises(
            StorageUnavailable, match=r"for a table that is in use, held by process \d+ \(a rep"
        ):
            await asyncio.to_thread(upgrade, empty, wait=0)
        assert await invalid_indexes(watch) == [index]
        assert await watch.fetchval("SELECT version_num FROM alembic_version") == LARGE[index]
        await other.execute("ROLLBACK")
        await asyncio.to_thread(upgrade, empty, wait=0)
        assert await invalid_indexes(watch) == []
        assert await watch.fetchval("SELECT to_regclass($1)::text", index) == index


async def test_a_killed_migration_leaves_no_lock(empty: str) -> None:
    async with session(empty, "killed") as other:
        await other.execute("BEGIN")
        await other.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        other.terminate()
    await asyncio.to_thread(upgrade, empty, wait=30)
