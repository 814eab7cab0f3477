"""Connections to PostgreSQL on which nothing arrives any more, as when a firewall has forgotten them: each
statement ends, and the next one has a new connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.queries import JobFilter
from askback_server.ports.storage import JobWrite, Lost
from askback_server.storage import job_store, postgres_pools, tables
from askback_server.storage.database import Database
from askback_server.storage.postgres import Postgres
from askback_server.storage.postgres_rows import LOSERS
from tests.support.pg_relay import PgRelay
from tests.support.rows import creation, new_job, step, with_children
from tests.support.storage import execute, fetch

pytestmark = pytest.mark.usefixtures("own_connections")

WITHIN = 60.0
"""Seconds after which a statement counts as one that does not end. None takes as long."""
FROZEN_SECONDS = 1.0
"""Timeout of statements on a frozen connection. Those on others have what the service gives them: on a busy
machine a new connection takes seconds."""


class ForgetfulRelay(PgRelay):
    """A relay that forgets connections of pools whose statements then end soon."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._drivers: list[Any] = []

    def note(self, connection: Any, record: Any) -> None:
        """Note a new connection of a pool."""
        self._drivers.append(connection.driver_connection)

    def forget(self) -> None:
        """Stop the traffic of the open connections, and let their statements end after FROZEN_SECONDS."""
        for driver in self._drivers:
            driver._config = driver._config._replace(command_timeout=FROZEN_SECONDS)
        super().forget()


@pytest.fixture
async def relay(pg_url: str) -> AsyncIterator[ForgetfulRelay]:
    relay = ForgetfulRelay(pg_url)
    sa.event.listen(sa.Pool, "connect", relay.note)
    yield relay
    sa.event.remove(sa.Pool, "connect", relay.note)


@pytest.fixture
async def behind(relay: ForgetfulRelay, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database behind the relay, with open connections of each kind, several where calls run beside each
    other."""
    monkeypatch.setattr(postgres_pools, "OPEN_AFTER", 0.0)
    monkeypatch.setattr(job_store, "SETTLE_PAUSE_SECONDS", 0.01)
    async with relay.serve() as url:
        database = await Database.open(url)
        yield database
    await database.close()  # after the relay: a goodbye on a frozen connection waits


def _write(*batch: JobWrite) -> Callable[[Database], Awaitable[object]]:
    return lambda database: database.jobs.write(batch)


CALLS: dict[str, Callable[[Database], Awaitable[object]]] = {
    "a write of a new shape": _write(with_children(creation(new_job()))),
    "a look-up": lambda database: database.jobs.get_jobs([new_job().job_id]),
    "a list": lambda database: database.jobs.list_jobs(JobFilter("default"), 10, None, 1000),
    "a statement of the pool": lambda database: fetch(database, sa.select(tables.jobs.c.job_id).limit(1)),
    "a small transaction": lambda database: execute(database, "SELECT 1"),
}


@pytest.mark.parametrize("what", CALLS)
async def test_a_statement_on_a_frozen_connection_ends_and_the_next_one_works(
    relay: PgRelay, behind: Database, what: str
) -> None:
    call = CALLS[what]
    if what == "a write of a new shape":
        await behind.jobs.write([creation(new_job())])
    else:
        await asyncio.gather(*(call(behind) for _ in range(3)))
    relay.forget()
    async with asyncio.timeout(WITHIN):
        with pytest.raises(StorageUnavailable, match="in time"):
            await call(behind)
        assert await call(behind) is not None


async def test_a_connection_that_freezes_before_the_reason_of_a_lost_guard_is_asked_for(
    relay: PgRelay, behind: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome of the write is known: the job counts as changed by another writer."""
    job, dialect = new_job(), behind._dialect
    assert isinstance(dialect, Postgres)
    own = dialect._row_types.create

    async def create(connection: Any, parts: Any) -> None:
        if LOSERS in parts:
            relay.forget()
        await own(connection, parts)

    monkeypatch.setattr(dialect._row_types, "create", create)
    await behind.jobs.write([creation(job)])
    async with asyncio.timeout(WITHIN):
        written = await behind.jobs.write([step(replace(job, version=7))])
    assert written.lost == {job.job_id: Lost.VERSION}
