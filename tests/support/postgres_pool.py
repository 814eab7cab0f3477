"""A pool of migrated PostgreSQL databases, reused by one test after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from tests.support.postgres import PostgresServer, new_name
from tests.support.postgres_template import MigratedTemplate

T = TypeVar("T")

CHANGES = """
SELECT concat_ws(' ',
    (SELECT concat(max(xmin::text::bigint), '/', count(*)) FROM pg_class WHERE relpersistence <> 't'),
    (SELECT concat(max(a.xmin::text::bigint), '/', count(*)) FROM pg_attribute a JOIN pg_class c
      ON c.oid = attrelid WHERE relpersistence <> 't'),
    (SELECT concat(max(xmin::text::bigint), '/', count(*)) FROM pg_constraint),
    (SELECT concat(max(xmin::text::bigint), '/', count(*)) FROM pg_trigger),
    (SELECT concat(max(xmin::text::bigint), '/', count(*)) FROM pg_proc),
    (SELECT concat(max(xmin::text::bigint), '/', count(*)) FROM pg_namespace
      WHERE nspname !~ '^pg_(toast_)?temp'),
    (SELECT concat(sum(reltuples), '/', sum(relpages)) FROM pg_class
      WHERE relnamespace = 'public'::regnamespace),
    (SELECT count(*) FROM pg_statistic),
    (SELECT string_agg(setconfig::text, ' ') FROM pg_db_role_setting
      WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())))
"""
"""The last change and the number of everything in a database that a test may change besides its rows. All
copies of a template have the same values. Temporary types do not count: they end with their connections.
ANALYZE changes rows of `pg_class` in place, so their `xmin` does not show it; its statistics decide which
index the planner takes, also when the table is empty again."""

QUIET = "SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = $1"
SIZE = "SELECT pg_database_size($1)"
TABLES = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition \
AND relnamespace = 'public'::regnamespace"
INSERT = "SELECT format('INSERT INTO {name} SELECT (%L::{name}).*', {name}::text) FROM {name}"
SET = "SELECT format('SELECT setval(''{name}'', %s, %L)', last_value, is_called) FROM {name}"
MAX_GROWTH = 8 * 1024 * 1024
"""Bytes by which a database may grow before it is dropped: deleted rows stay in the files and slow reads."""
SEQUENCES = "SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"


@dataclass(frozen=True)
class MigratedDatabase:
    """The state of a newly migrated database."""

    changes: str
    size: int
    reset: str
    """The statements that bring its rows and sequences back."""


class DatabasePool:
    """Lends databases that look like copies of a template. A returned database is emptied and lent again.

    Emptying is many times cheaper than a new copy. A database gets a new name each time it is lent, so that a
    leftover task of one test cannot write into the database of another. A returned database whose schema or
    statistics have changed, or which has grown much larger, is dropped.
    """

    def __init__(self, server: PostgresServer, template: MigratedTemplate) -> None:
        self._server = server
        self._template = template
        self._copied = ""
        """The name of the template of which the idle databases are copies."""
        self._idle: list[str] = []
        self._migrated: MigratedDatabase | None = None
        self._loop = _LoopInThread()
        self._admin: asyncpg.Connection[asyncpg.Record] | None = None
        """A connection to the database of the administrator: a new one costs five milliseconds of CPU."""

    def acquire(self) -> str:
        """The URL of a database with Askback's tables and the rows that the migration inserts."""
        if (idle := self._take_idle()) is not None:
            name = new_name()
            self._loop.run(self._rename(idle, name))
            return self._server.dsn(name)
        url = self._server.create_database(template=self._copied)
        if self._migrated is None:
            self._migrated = self._loop.run(self._look(url))
        return url

    def _take_idle(self) -> str | None:
        """Take an idle database. At the first call of a day drop them all: they are copies of yesterday's
        template. (One that is lent meanwhile is dropped when it comes back: it differs from the new one.)"""
        name = self._template.name
        if name != self._copied:
            self._drop_idle()
            self._copied, self._migrated = name, None
        return self._idle.pop() if self._idle else None

    def release(self, url: str) -> None:
        """Close the remaining connections and reset the database, or drop it if that is not possible."""
        if self._migrated is not None and self._loop.run(self._empty(url, self._migrated)):
            self._idle.append(url)
        else:
            self._drop(url)

    def close(self) -> None:
        """Drop the idle databases, and close the connection."""
        self._drop_idle()
        self._loop.run(self._close())
        self._loop.close()

    def _drop_idle(self) -> None:
        while self._idle:
            self._drop(self._idle.pop())

    def _drop(self, url: str) -> None:
        self._server.drop_database(url)

    async def _rename(self, url: str, name: str) -> None:
        admin = await self._connect_admin()
        await admin.execute(f"ALTER DATABASE {name_of(url)} RENAME TO {name}")

    async def _look(self, url: str) -> MigratedDatabase:
        connection = await connect(url)
        try:
            tables = [name for (name,) in await connection.fetch(TABLES)]
            reset = ["SET session_replication_role = replica"]  # ignores foreign keys
            reset += [f"DELETE FROM {name}" for name in tables]
            for name in tables:
                reset += [insert for (insert,) in await connection.fetch(INSERT.format(name=name))]
            for (name,) in await connection.fetch(SEQUENCES):
                reset += [set for (set,) in await connection.fetch(SET.format(name=name))]
            admin = await self._connect_admin()
            return MigratedDatabase(
                await connection.fetchval(CHANGES), await admin.fetchval(SIZE, name_of(url)), ";".join(reset)
            )
        finally:
            await connection.close()

    async def _empty(self, url: str, fresh: MigratedDatabase) -> bool:
        """Reset the rows and sequences. Returns False if the schema was changed or much was written."""
        admin = await self._connect_admin()
        await admin.fetchval(QUIET, name_of(url))
        if await admin.fetchval(SIZE, name_of(url)) > fresh.size + MAX_GROWTH:
            return False
        connection = await connect(url)
        try:
            if await connection.fetchval(CHANGES) != fresh.changes:
                return False
            await connection.execute(fresh.reset)  # one transaction
            return True
        finally:
            await connection.close()

    async def _connect_admin(self) -> asyncpg.Connection[asyncpg.Record]:
        if self._admin is None or self._admin.is_closed():
            self._admin = await connect(self._server.dsn("postgres"))
        return self._admin

    async def _close(self) -> None:
        if self._admin is not None:
            await self._admin.close()


def name_of(url: str) -> str:
    """The name of the database of a URL."""
    return urlsplit(url).path[1:]


class _LoopInThread:
    """A running event loop: callable with and without a loop in the caller's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to completion."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Stop the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def connect(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """Connect to a database as the administrator, without SQLAlchemy."""
    return await asyncpg.connect(urlsplit(url)._replace(scheme="postgresql").geturl(), timeout=30)
