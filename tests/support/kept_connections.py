"""Databases for one test after the other whose PostgreSQL connections stay open.

To open a `Database` and plan its statements takes PostgreSQL and the test 50 to 80 ms of CPU, ten times what
most tests need for everything else. Here `Database.open` takes over the connections, with their prepared
statements, that an earlier test has closed; everything that the service itself remembers is new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from askback_server.storage.outages import BROKEN
from askback_server.storage.postgres import Postgres
from askback_server.storage.postgres_pools import raw_driver
from tests.support.lasting_loops import LastingLoop
from tests.support.postgres import PostgresServer
from tests.support.postgres_pool import (
    CHANGES,
    MAX_GROWTH,
    SIZE,
    DatabasePool,
    MigratedDatabase,
    connect,
    name_of,
)
from tests.support.postgres_template import MigratedTemplate

QUIET = "SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
WHERE datname = $1 AND pid <> ALL($2)"

_open_new, _close_all = Postgres.__init__, Postgres.close


@dataclass(eq=False)
class _Connections:
    """The connections of one `Postgres`."""

    loop: LastingLoop
    parts: dict[str, Any]
    """Its attributes, as they were after its creation. They change: the object is used again."""
    pids: set[int] = field(default_factory=set)
    """The server processes of all that were opened."""

    async def end(self) -> None:
        """Close them."""
        await _close_all(_with(self.parts))


def _with(parts: dict[str, Any]) -> Postgres:
    dialect = Postgres.__new__(Postgres)
    vars(dialect).update(parts)
    return dialect


async def _are_idle(dialect: Postgres) -> bool:
    """Whether the next test may use its connections: none is in use, lost, or in a transaction."""
    pools, pinned = dialect._pools, dialect._pinned
    drivers = [driver for kept in (pools.pinned, pools.pinned_lists) for _, driver in kept._idle]
    lent: Any = dialect.reads.pool
    of_sessions: Any = pools.sessions.pool
    if (lent.checkedout(), of_sessions.checkedout(), pools.primary.generation) != (len(drivers), 0, 0):
        return False
    if pinned is not None:
        drivers.append(await raw_driver(pinned))
    try:
        for driver in drivers:
            await driver.execute("SELECT")  # refused while another statement runs
    except BROKEN:
        return False
    return not any(driver.is_in_transaction() for driver in drivers)


class KeptDatabases(DatabasePool):
    """Lends databases like its base, for tests in lasting loops. What a `Database` on one of them closes in
    order is kept for the next one in the same loop. A database keeps its name."""

    def __init__(self, server: PostgresServer, template: MigratedTemplate) -> None:
        super().__init__(server, template)
        self._kept: dict[str, list[_Connections]] = {}
        """By the URL of the database; of all databases of the pool."""
        self._cleaners: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
        """For each database the connection that empties it."""

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let `Database` use what is kept."""
        pool = self

        def __init__(self: Postgres, url: sa.URL) -> None:
            pool._begin(self, url)

        async def close(self: Postgres) -> None:
            await pool._keep(self)

        Postgres.__init__, Postgres.close = __init__, close  # type: ignore[method-assign]
        try:
            yield
        finally:
            Postgres.__init__, Postgres.close = _open_new, _close_all  # type: ignore[method-assign]

    def _begin(self, dialect: Postgres, url: sa.URL) -> None:
        loop, kept = asyncio.get_running_loop(), self._kept.get(str(url))
        if kept is None or not isinstance(loop, LastingLoop):
            _open_new(dialect, url)
            return
        for found in reversed(kept):
            if found.loop is loop:
                kept.remove(found)
                vars(dialect).update(found.parts)
                break
        else:
            _open_new(dialect, url)
            found = _Connections(loop, {})
            for engine in (dialect.reads, dialect._pools.sessions, dialect._pools.writer):
                sa.event.listen(engine.sync_engine, "connect", partial(_note, found.pids))
            found.parts = dict(vars(dialect))
        vars(dialect)["kept_by_tests"] = (str(url), found)

    async def _keep(self, dialect: Postgres) -> None:
        """Keep the connections of a dialect that is closed, or close them if that is not possible."""
        if "_pools" not in vars(dialect):
            return  # it was closed before
        url, found = vars(dialect).pop("kept_by_tests", ("", None))
        if found is None or url not in self._kept or not await _are_idle(dialect):
            await _close_all(dialect)
            return
        # From here on the dialect has no connections, and can open none.
        found.parts = {name: vars(dialect).pop(name) for name in found.parts}
        self._kept[url].append(found)

    def acquire(self) -> str:
        """The URL of a database with Askback's tables and the rows that the migration inserts."""
        url = self._take_idle() or super().acquire()
        self._kept.setdefault(url, [])
        return url

    async def _empty(self, url: str, fresh: MigratedDatabase) -> bool:
        """Reset the rows and sequences, and close the connections that are not kept."""
        cleaner = self._cleaners.get(url)
        if cleaner is None or cleaner.is_closed():
            cleaner = self._cleaners[url] = await connect(url)
        pids = {cleaner.get_server_pid(), *chain.from_iterable(kept.pids for kept in self._kept[url])}
        admin = await self._connect_admin()
        await admin.fetchval(QUIET, name_of(url), [*pids])
        if await admin.fetchval(SIZE, name_of(url)) > fresh.size + MAX_GROWTH:
            return False
        if await cleaner.fetchval(CHANGES) != fresh.changes:
            return False
        await cleaner.execute(fresh.reset)  # one transaction
        return True

    def _drop(self, url: str) -> None:
        for kept in self._kept.pop(url):
            kept.loop.run_until_complete(kept.end())
        if cleaner := self._cleaners.pop(url, None):
            cleaner.terminate()
        super()._drop(url)


def _note(pids: set[int], connection: Any, record: Any) -> None:
    """Note the server process of a new connection."""
    pids.add(connection.driver_connection.get_server_pid())


@pytest.fixture
def pg_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """For a conftest.py with lasting loops: a PostgreSQL database with Askback's tables, whose connections
    are kept for the next test."""
    own = "own_connections" in request.fixturenames
    pool: DatabasePool = request.getfixturevalue("pg_databases" if own else "kept_pg_databases")
    url = pool.acquire()
    yield url
    pool.release(url)


@pytest.fixture
def own_connections() -> None:
    """For tests that count connections, break them, or observe how they are opened: theirs are new."""
