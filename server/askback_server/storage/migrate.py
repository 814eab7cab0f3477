"""Migrations: one Alembic history for both databases, expand and contract only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from alembic import command
from sqlalchemy.pool import NullPool

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.history import begin_history
from askback_server.storage.migration_lock import upgrade_under_lock
from askback_server.storage.outages import BROKEN
from askback_server.storage.pooler import refuse_shared_connections
from askback_server.storage.postgres_pools import Pools
from askback_server.storage.schema import check_schema, history, is_newer, revision_of, scripts
from askback_server.storage.sqlite_files import SUFFIXES, database_problem

_log = logging.getLogger("askback.server.storage")

T = TypeVar("T")

WAIT_SECONDS = 60.0
"""Seconds that a migration waits for another one, or for a table that is in use."""


def upgrade(url: str, revision: str = "head", *, wait: float = WAIT_SECONDS) -> tuple[str, str]:
    """Bring a database to a revision, and return the one before (empty: a new database) and the one after.

    Blocking; call it from a thread if there is a loop.

    Raises StorageUnavailable with the reason, after `wait` seconds with the session that holds a lock which
    is needed. On PostgreSQL a migration that fails changes nothing, except that it may leave an index without
    its rows, which the next attempt replaces; the migrations before it stay.
    """
    parsed = sa.make_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            # Not aiosqlite: its thread outlives a failed connect and prints a traceback.
            return _run_sqlite(parsed.set(drivername="sqlite"), revision)
        else:
            return asyncio.run(
                on_postgres(
                    parsed, lambda c: upgrade_under_lock(c, partial(_upgrade, c, revision, wait), wait)
                )
            )
    except BROKEN as error:
        problem = database_problem(parsed, error)
        named = parsed.get_backend_name() != "sqlite" or (parsed.database or "") in problem
        which = "" if named else f" {parsed.database}"
        raise StorageUnavailable(f"cannot migrate{which}: {problem}") from error


def _run_sqlite(url: sa.URL, revision: str) -> tuple[str, str]:
    with contextlib.suppress(OSError):  # SQLite reports the error itself
        _keep_private(url.database or "")
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            versions = _upgrade(connection, revision, 0)
            connection.commit()
            return versions
    finally:
        engine.dispose()


def _keep_private(path: str) -> None:
    """Make a file readable by its owner only, whether new or existing: it holds every answer.

    SQLite creates its journal files with the same mode, but reuses those of a killed process unchanged. A
    file of another owner is not changed.
    """
    if not path or path.startswith((":memory:", "file:")):
        return
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
    for each in (path + suffix for suffix in SUFFIXES):
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(each)
            if found.st_mode & 0o077 and found.st_uid == os.geteuid():
                os.chmod(each, found.st_mode & 0o700)
                _log.warning("%s could be read by others; it is now for its owner alone", each)


async def on_postgres(url: sa.URL, work: Callable[[sa.Connection], T]) -> T:
    """Run a function on a separate connection to the primary."""
    pools = Pools(url)
    await refuse_shared_connections(pools.own("askback probe"), pools.own("askback probe"))
    async with pools.engine("askback migrate", is_slow=True, poolclass=NullPool).connect() as connection:
        return await connection.run_sync(work)


def begin_history_after_restore(url: str) -> None:
    """Refuse all resume tokens from before a restore. Consoles then read all open prompts again.

    Blocking. Raises StorageUnavailable.
    """
    parsed = sa.make_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            engine = sa.create_engine(parsed.set(drivername="sqlite"))
            try:
                with engine.begin() as connection:
                    begin_history(connection)
            finally:
                engine.dispose()
        else:
            asyncio.run(on_postgres(parsed, _begin_history))
    except BROKEN as error:
        raise StorageUnavailable(f"cannot use the database: {database_problem(parsed, error)}") from error


def _begin_history(connection: sa.Connection) -> None:
    begin_history(connection)
    connection.commit()


def describe(url: str) -> str:
    """Describe a database in a line for people: server version and schema. Reads only. Blocking.

    Raises StorageUnavailable if it cannot be reached, does not exist, or has another schema.
    """
    return read_snapshot(url, _describe)


def read_snapshot(url: str, work: Callable[[sa.Connection], T]) -> T:
    """Run a function that only reads on a connection of its own: all it reads is as of one moment. Blocking.

    A service may run meanwhile. Raises StorageUnavailable without such a database.
    """
    parsed = sa.make_url(url)
    try:
        if parsed.get_backend_name() != "sqlite":
            return asyncio.run(on_postgres(parsed, partial(_in_snapshot, work)))
        path = Path(parsed.database or "").absolute()
        if not path.is_file():
            raise StorageUnavailable(f"there is no file {path} yet; `askback serve` makes it")
        engine = sa.create_engine(
            f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true", connect_args={"isolation_level": None}
        )
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                return work(connection)
        finally:
            engine.dispose()
    except BROKEN as error:
        raise StorageUnavailable(f"cannot use the database: {database_problem(parsed, error)}") from error


def _in_snapshot(work: Callable[[sa.Connection], T], connection: sa.Connection) -> T:
    return work(connection.execution_options(isolation_level="REPEATABLE READ"))


def _describe(connection: sa.Connection) -> str:
    if behind := check_schema(connection):
        raise StorageUnavailable(behind)
    server = ".".join(str(number) for number in connection.dialect.server_version_info or ())
    return f"{connection.dialect.name} {server}, schema {revision_of(connection)}"


def _upgrade(connection: sa.Connection, revision: str, wait: float) -> tuple[str, str]:
    before = revision_of(connection)
    if is_newer(before):
        # A newer version has migrated it, and migrations cannot be undone.
        if refused := check_schema(connection):
            raise StorageUnavailable(refused)
        return before, before
    if before == history().as_revision_number(revision):
        return before, before
    config = scripts()
    # 0 would mean no limit.
    config.attributes.update(connection=connection, index_wait=max(1, math.ceil(wait)))
    connection.rollback()  # ends the reads, because Alembic begins a transaction for each migration
    command.upgrade(config, revision)
    return before, revision_of(connection)
