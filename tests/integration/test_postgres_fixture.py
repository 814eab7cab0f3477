"""The test database itself: servers from both sources of binaries run, crash, restart and clean up."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.support.postgres import PostgresServer
from tests.support.postgres_binaries import PostgresUnavailable, find_binaries
from tests.support.postgres_pool import DatabasePool
from tests.support.postgres_template import MigratedTemplate


async def fetch_value(url: str, statement: str) -> object:
    """One value, queried over the URL that SQLAlchemy gets."""
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@pytest.fixture(params=["installed", "wheel"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A separate server from each source of binaries on this machine."""
    server = PostgresServer(source=request.param, fsync=False)
    try:
        server.start()
    except PostgresUnavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.stop()


@pytest.mark.long
async def test_each_source_of_postgres_binaries_serves_databases(server: PostgresServer) -> None:
    url = server.create_database()
    assert url.startswith("postgresql+asyncpg://postgres@127.0.0.1:")
    assert await fetch_value(url, "SELECT 1") == 1
    assert await fetch_value(url, "SHOW server_encoding") == "UTF8"
    await fetch_value(url, "CREATE TABLE kept (x int)")

    copy = server.create_database(template=urlsplit(url).path[1:])
    assert await fetch_value(copy, "SELECT count(*) FROM kept") == 0

    server.drop_database(copy)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await fetch_value(copy, "SELECT 1")


@pytest.mark.long
async def test_a_crashed_postgres_server_restarts_with_its_data_and_address(server: PostgresServer) -> None:
    url = server.create_database()
    await fetch_value(url, "CREATE TABLE kept AS SELECT 7 AS x")
    server.crash()
    with pytest.raises(OSError, match=r"."):
        await fetch_value(url, "SELECT 1")
    server.start()
    assert await fetch_value(url, "SELECT x FROM kept") == 7


@pytest.mark.long
def test_stopping_the_postgres_server_removes_its_files(server: PostgresServer) -> None:
    data = Path(server.execute("SHOW data_directory"))
    assert data.exists()
    server.stop()
    assert not data.parent.exists()


@pytest.mark.long
def test_a_killed_test_process_leaves_no_server() -> None:
    script = (
        "import time; from tests.support.postgres import PostgresServer\n"
        "s = PostgresServer(source='auto', fsync=False); s.start()\n"
        "print(s.execute('SHOW data_directory'), s.dsn('postgres'), flush=True); time.sleep(60)"
    )
    try:
        find_binaries("auto")
    except PostgresUnavailable as reason:
        pytest.skip(str(reason))
    root = Path(__file__).parent.parent.parent
    child = subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    data = Path(child.stdout.readline().split()[0])
    assert data.exists()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    deadline = time.monotonic() + 20
    while data.parent.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not data.parent.exists()


async def test_every_database_url_is_fresh(db_url: str, database_kind: str) -> None:
    if database_kind == "sqlite":
        assert not Path(db_url.removeprefix("sqlite+aiosqlite:///")).exists()
    else:
        assert await fetch_value(db_url, "SELECT count(*) FROM pg_stat_user_tables") == 0


async def test_a_returned_database_is_reset_to_the_template(
    postgres: PostgresServer, migrated_template: MigratedTemplate
) -> None:
    """Whatever a test did with it, the next one gets a clean copy under a new name."""
    pool = DatabasePool(postgres, migrated_template)
    try:
        first = pool.acquire()
        settings = "SELECT string_agg(name || value, ',' ORDER BY name) FROM askback_settings"
        made = await fetch_value(first, settings)
        still = await asyncpg.connect(first.replace("+asyncpg", ""))
        await still.execute("UPDATE askback_settings SET value = 'changed'")
        await still.execute("SELECT nextval('job_events_id_seq')")
        pool.release(first)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await still.execute("SELECT 1")
        second = pool.acquire()
        assert second != first
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await fetch_value(first, "SELECT 1")
        assert await fetch_value(second, settings) == made
        assert await fetch_value(second, "SELECT nextval('job_events_id_seq')") == 1
        await fetch_value(second, "CREATE TABLE left_behind (x int)")
        pool.release(second)
        third = pool.acquire()
        assert await fetch_value(third, "SELECT to_regclass('left_behind')") is None
        await fetch_value(third, "ANALYZE jobs")  # an empty table, so no row of pg_statistic
        pool.release(third)
        fourth = pool.acquire()
        assert await fetch_value(fourth, "SELECT reltuples FROM pg_class WHERE relname = 'jobs'") == -1
        pool.release(fourth)
    finally:
        pool.close()


async def test_after_midnight_databases_are_copies_of_a_new_template(postgres: PostgresServer) -> None:
    """The migration makes the partitions of its day, which tests expect to be the current one."""
    days = [date(2026, 11, 30)]
    template = MigratedTemplate(postgres, lambda: days[-1])
    pool = DatabasePool(postgres, template)
    try:
        await fetch_value(postgres.dsn(template.name), "CREATE TABLE of_yesterday ()")
        first, second = pool.acquire(), pool.acquire()
        pool.release(first)
        days.append(date(2026, 12, 1))
        third = pool.acquire()
        assert await fetch_value(second, "SELECT to_regclass('of_yesterday')") == "of_yesterday"
        assert await fetch_value(third, "SELECT to_regclass('of_yesterday')") is None
        pool.release(second)
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await fetch_value(second, "SELECT 1")
        pool.release(third)
        fourth = pool.acquire()
        assert await fetch_value(fourth, "SELECT to_regclass('of_yesterday')") is None
        pool.release(fourth)
    finally:
        pool.close()
        template.drop()
