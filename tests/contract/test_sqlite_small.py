"""SQLite: small transactions that wait for the writer thread share a commit."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage import sqlite_writer
from askback_server.storage.database import Database
from askback_server.storage.settings import get_setting, put_setting
from askback_server.storage.sqlite import SQLite
from tests.support.storage import execute

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def commits(database: Database) -> list[None]:
    """An element for each commit of a small transaction."""
    found: list[None] = []
    assert isinstance(database._dialect, SQLite)
    sa.event.listen(database._dialect._writer.engine, "commit", lambda _: found.append(None))
    return found


async def at_once(database: Database, *works: Any) -> list[Any]:
    """Run transactions that have to wait for the writer thread."""
    assert isinstance(database._dialect, SQLite)
    gate = threading.Event()
    busy = asyncio.ensure_future(database._dialect._writer.call(gate.wait))
    running = [asyncio.ensure_future(database._dialect.run(work)) for work in works]
    await asyncio.sleep(0)
    gate.set()
    await busy
    return await asyncio.gather(*running, return_exceptions=True)


def put(name: str) -> Any:
    return lambda connection: put_setting(connection, name, "yes")


def fail(connection: sa.Connection) -> None:
    put_setting(connection, "lost", "yes")
    raise LookupError("planted")


async def stored(database: Database, *names: str) -> list[str | None]:
    return [await database._dialect.run(lambda c, n=name: get_setting(c, n)) for name in names]


async def test_those_that_wait_share_a_commit(database: Database, commits: list[None]) -> None:
    found = await at_once(database, put("a"), lambda c: get_setting(c, "a"), put("b"))
    assert found == [None, "yes", None]
    assert len(commits) == 1
    assert await stored(database, "a", "b") == ["yes", "yes"]


async def test_one_that_fails_is_rolled_back_alone(database: Database) -> None:
    found = await at_once(database, put("c"), fail, put("d"))
    assert [type(outcome) for outcome in found] == [type(None), LookupError, type(None)]
    assert await stored(database, "c", "lost", "d") == ["yes", None, "yes"]


async def test_all_fail_if_one_ends_the_transaction(database: Database) -> None:
    """As SQLite does if the disk is full."""

    def end(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")

    found = await at_once(database, put("j"), end, put("k"))
    assert [type(outcome) for outcome in found] == [StorageUnavailable] * 3
    assert await stored(database, "j", "k") == [None, None]


async def test_no_caller_is_told_of_success_if_the_commit_fails(database: Database) -> None:
    """And those that come later are run."""
    dialect: Any = database._dialect

    def refuse(_: Any) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("planted"))

    sa.event.listen(dialect._writer.engine, "commit", refuse)
    found = await at_once(database, put("e"), put("f"))
    sa.event.remove(dialect._writer.engine, "commit", refuse)
    assert [type(outcome) for outcome in found] == [StorageUnavailable] * 2
    assert await stored(database, "e", "f") == [None, None]


async def test_a_long_queue_takes_several_commits(
    database: Database, commits: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "MAX_SHARED", 4)
    names = [f"g{n}" for n in range(10)]
    assert await at_once(database, *map(put, names)) == [None] * 10
    assert len(commits) == 3
    assert await stored(database, *names) == ["yes"] * 10


async def test_a_caller_that_goes_away_withdraws_nothing(database: Database) -> None:
    dialect: Any = database._dialect
    gate = threading.Event()
    busy = asyncio.ensure_future(dialect._writer.call(gate.wait))
    leaving, staying = [asyncio.ensure_future(dialect.run(put(name))) for name in ("h", "i")]
    await asyncio.sleep(0)
    leaving.cancel()
    gate.set()
    await asyncio.gather(busy, staying)
    assert await stored(database, "h", "i") == ["yes", "yes"]
    assert await execute(database, "SELECT 1") is not None
