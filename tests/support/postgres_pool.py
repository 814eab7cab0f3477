"""A pool of migrated PostgreSQL databases, reused by one test after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tests.support.postgres import PostgresServer, in_thread

SHAPE = """
SELECT md5(string_agg(fact, '|' ORDER BY fact)) FROM (
    SELECT format('%s %s %s %s %s', attrelid::regclass, attnum, attname, atttypid, attnotnull)
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('%s %s %s', relname, relkind, reloptions)
      FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('%s %s', conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('%s %s', tgname, tgrelid::regclass) FROM pg_trigger
    UNION ALL
    SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('%s %s', nspname, nspacl) FROM pg_namespace
    UNION ALL
    SELECT setconfig::text FROM pg_db_role_setting
     WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS facts (fact)
"""
"""A checksum of everything in a database that a test may change besides its rows."""

QUIET = """
SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
TABLES = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition \
AND relnamespace = 'public'::regnamespace"
SIZE = "SELECT pg_database_size(current_database())"
MAX_GROWTH = 8 * 1024 * 1024
"""Bytes by which a database may grow before it is dropped: deleted rows stay in the files and slow reads."""
SEQUENCES = "SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"


@dataclass(frozen=True)
class _MigratedDatabase:
    """The state of a newly migrated database."""

    shape: str
    size: int
    tables: list[str]
    rows: dict[str, list[Any]]
    sequences: list[tuple[str, int, bool]]


class DatabasePool:
    """Lends databases that look like copies of a template. A returned database is emptied and lent again.

    Emptying is many times cheaper than a new copy. A database gets a new name each time it is lent, so that a
    leftover task of one test cannot write into the database of another. A returned database whose schema has
    changed, or which has grown much larger, is dropped.
    """

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._idle: list[str] = []
        self._migrated: _MigratedDatabase | None = None

    def acquire(self) -> str:
        """The URL of a database with Askback's tables and the rows that the migration inserts."""
        if self._idle:
            return self._server.rename_database(self._idle.pop())
        url = self._server.create_database(template=self._template)
        if self._migrated is None:
            self._migrated = in_thread(_look(url))
        return url

    def release(self, url: str) -> None:
        """Close the remaining connections and reset the database, or drop it if that is not possible."""
        assert self._migrated is not None
        if in_thread(_empty(url, self._migrated)):
            self._idle.append(url)
        else:
            self._server.drop_database(url)

    def close(self) -> None:
        """Drop the idle databases."""
        while self._idle:
            self._server.drop_database(self._idle.pop())


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(urlsplit(url)._replace(scheme="postgresql").geturl(), timeout=30)


async def _look(url: str) -> _MigratedDatabase:
    connection = await _connect(url)
    try:
        tables = [name for (name,) in await connection.fetch(TABLES)]
        rows = {
            name: [tuple(row) for row in await connection.fetch(f"SELECT * FROM {name}")] for name in tables
        }
        sequences = []
        for (name,) in await connection.fetch(SEQUENCES):
            [(value, called)] = await connection.fetch(f"SELECT last_value, is_called FROM {name}")
            sequences.append((name, value, called))
        shape, size = await connection.fetchval(SHAPE), await connection.fetchval(SIZE)
        return _MigratedDatabase(
            shape, size, tables, {name: found for name, found in rows.items() if found}, sequences
        )
    finally:
        await connection.close()


async def _empty(url: str, fresh: _MigratedDatabase) -> bool:
    """Reset the rows and sequences. Returns False if the database has another schema or is too large."""
    connection = await _connect(url)
    try:
        await connection.execute(QUIET)
        if await connection.fetchval(SHAPE) != fresh.shape:
            return False
        if await connection.fetchval(SIZE) > fresh.size + MAX_GROWTH:
            return False
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")  # ignores foreign keys
            await connection.execute(";".join(f"DELETE FROM {name}" for name in fresh.tables))
            for name, rows in fresh.rows.items():
                await connection.copy_records_to_table(name, records=rows)
            for name, value, called in fresh.sequences:
                await connection.execute(f"SELECT setval('{name}', {value}, {called})")
        return True
    finally:
        await connection.close()
