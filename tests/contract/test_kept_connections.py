"""The connections that tests keep open for each other: only idle ones are, and a database is empty again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from askback._worker.loop_watch import LoopWatch
from askback_server.storage.database import Database
from askback_server.storage.postgres import Postgres
from askback_server.storage.postgres_pools import Driver
from tests.support.kept_connections import KeptDatabases
from tests.support.lasting_loops import LastingLoop
from tests.support.postgres import PostgresServer
from tests.support.rows import creation, new_job


@pytest.fixture
def loop() -> Iterator[LastingLoop]:
    """A loop of its own: the databases of these tests are opened and released outside of the test's loop."""
    loop = LastingLoop()
    yield loop
    loop.end()


async def writer_of(database: Database) -> Driver:
    dialect = database._dialect
    assert isinstance(dialect, Postgres)
    return await dialect._connection()


async def use_once(url: str, left: str = "nothing") -> tuple[int, Database]:
    """Open the database, write a job and close it. Returns the server process of the writer as well."""
    database = await Database.open(url)
    job, driver = new_job(), await writer_of(database)
    await database.jobs.write([creation(job)])
    [found] = await database.jobs.get_jobs([job.job_id])
    assert found.job_id == job.job_id
    assert await driver.fetchval("SELECT count(*) FROM jobs") == 1
    if left == "a transaction":
        await driver.execute("BEGIN")
    if left == "a statement":
        running = asyncio.ensure_future(driver.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
    pid: int = driver.get_server_pid()
    if left != "an open database":
        await database.close()
        await database.close()  # does not close what the next test has taken over
    if left == "a statement":
        await asyncio.gather(running, return_exceptions=True)
    return pid, database


@pytest.mark.parametrize("left", ["nothing", "a transaction", "a statement", "an open database"])
def test_idle_connections_serve_the_next_database(
    kept_pg_databases: KeptDatabases, loop: LastingLoop, postgres: PostgresServer, left: str
) -> None:
    url = kept_pg_databases.acquire()
    first, database = loop.run_until_complete(use_once(url, left))
    kept_pg_databases.release(url)
    running = postgres.execute(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {first}")
    assert running == (left == "nothing")
    assert kept_pg_databases.acquire() == url
    second, _ = loop.run_until_complete(use_once(url))
    assert (second == first) == (left == "nothing")
    if left == "an open database":
        loop.run_until_complete(database.close())
    kept_pg_databases._drop(url)  # its connections belong to a loop that ends


def test_a_database_whose_schema_has_changed_is_dropped_with_its_connections(
    kept_pg_databases: KeptDatabases, loop: LastingLoop
) -> None:
    async def change(url: str) -> None:
        database = await Database.open(url)
        await (await writer_of(database)).execute("CREATE TABLE left_behind (x int)")
        await database.close()

    url = kept_pg_databases.acquire()
    loop.run_until_complete(change(url))
    kept_pg_databases.release(url)
    other = kept_pg_databases.acquire()
    assert other != url
    kept_pg_databases.release(other)


def test_what_a_test_leaves_in_a_loop_ends_with_it() -> None:
    loop = LastingLoop()

    async def leave() -> tuple[asyncio.Handle, asyncio.Task[None]]:
        await asyncio.to_thread(int)
        LoopWatch([]).start()
        return loop.call_later(60.0, int), loop.create_task(asyncio.sleep(60.0))

    for _ in range(2):  # the second uses a loop that was given back
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            timer, task = runner.run(leave())
        assert timer.cancelled()
        assert task.cancelled()
        assert "askback loop watch" not in {thread.name for thread in threading.enumerate()}
    loop.end()
