"""The connections to PostgreSQL that are kept for look-ups."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from askback_server.storage import postgres_pools
from askback_server.storage.database import Database
from askback_server.storage.postgres import Postgres
from askback_server.storage.postgres_pools import PINNED, PinnedDrivers
from tests.support.rows import creation, new_job
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("own_connections")

PID = "SELECT pg_backend_pid() AS pid"


@pytest.fixture
def pinned(pg: Database) -> PinnedDrivers:
    dialect = pg._dialect
    assert isinstance(dialect, Postgres)
    return dialect._pools.pinned


async def pid_of(pinned: PinnedDrivers) -> int:
    async with pinned.one() as driver:
        found: int = await driver.fetchval(PID)
        return found


async def test_one_connection_serves_look_ups_that_follow_each_other(pinned: PinnedDrivers) -> None:
    assert len({await pid_of(pinned) for _ in range(5)}) == 1
    assert pinned.idle == 1


async def test_a_look_up_waits_for_another_rather_than_open_a_connection(
    pinned: PinnedDrivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for the first one, whose connection is being opened."""
    monkeypatch.setattr(postgres_pools, "OPEN_AFTER", 30.0)
    assert len(set(await asyncio.gather(*(pid_of(pinned) for _ in range(PINNED))))) == 1


async def test_look_ups_at_the_same_time_have_connections_up_to_the_limit(pinned: PinnedDrivers) -> None:
    go_on = asyncio.Event()
    used: list[int] = []

    async def use() -> None:
        async with pinned.one() as driver:
            used.append(await driver.fetchval(PID))
            await go_on.wait()

    tasks = [asyncio.create_task(use()) for _ in range(PINNED + 3)]
    await until(lambda: len(used) == PINNED)
    assert len(set(used)) == PINNED
    go_on.set()
    await asyncio.gather(*tasks)
    assert len(used) == PINNED + 3
    assert len(set(used)) == PINNED
    assert pinned.idle == PINNED


async def test_a_look_up_works_after_the_server_has_closed_the_connection(
    pg: Database, pinned: PinnedDrivers
) -> None:
    job = new_job()
    await pg.jobs.write([creation(job)])
    first = await pid_of(pinned)
    async with pg._dialect.reads.connect() as other:
        await other.exec_driver_sql(f"SELECT pg_terminate_backend({first})")
    [found] = await pg.jobs.get_jobs([job.job_id])
    assert found.job_id == job.job_id
    assert await pid_of(pinned) != first
    assert pinned.idle == 1


async def test_a_cancelled_statement_closes_its_connection(pinned: PinnedDrivers) -> None:
    """The server's reply to it would be read as that of the next statement."""
    first = await pid_of(pinned)

    async def sleep() -> None:
        async with pinned.one() as driver:
            await driver.execute("SELECT pg_sleep(60)")

    sleeping = asyncio.create_task(sleep())
    await until(lambda: not pinned.idle)
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)
    assert await pid_of(pinned) != first


async def test_an_error_gives_the_place_free(pinned: PinnedDrivers) -> None:
    for _ in range(PINNED + 1):
        with pytest.raises(asyncpg.PostgresSyntaxError):
            async with pinned.one() as driver:
                await driver.execute("no statement")
    assert await pid_of(pinned)


async def test_connections_to_an_old_primary_are_not_used(pg: Database, pinned: PinnedDrivers) -> None:
    first = await pid_of(pinned)
    for driver in tuple(pinned._primary._watched):
        driver.terminate()  # what `Primary.admit` does when it sees another server
    assert await pid_of(pinned) != first


async def test_closing_the_database_closes_them(pg: Database, pinned: PinnedDrivers) -> None:
    async with pinned.one() as driver:
        pass
    await pg.close()
    assert driver.is_closed()
