"""Migrations: one Alembic history for both databases, expand and contract only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.outages import first_line
from askback_server.storage.schema import check_schema, is_newer, scripts

log = logging.getLogger(__name__)

_LOCK = 0x61736B6D
"""Advisory lock on PostgreSQL: Alembic has none of its own, and replicas may start together."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database to a revision. Blocking; call it from a thread if there is a loop.

    Raises StorageUnavailable with the reason. A migration that fails changes nothing on PostgreSQL.
    """
    parsed = sa.make_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            # aiosqlite's thread outlives a failed connect and writes a traceback of its own.
            _run_sqlite(parsed.set(drivername="sqlite"), revision)
        else:
            asyncio.run(_run(parsed, revision))
    except (OSError, sa.exc.SQLAlchemyError) as error:
        which = f" {parsed.database}" if parsed.get_backend_name() == "sqlite" else ""
        raise StorageUnavailable(f"cannot migrate{which}: {first_line(error)}") from error


def _run_sqlite(url: sa.URL, revision: str) -> None:
    with contextlib.suppress(OSError):  # SQLite says it in its own words
        _keep_private(url.database or "")
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            _upgrade(connection, revision)
    finally:
        engine.dispose()


def _keep_private(path: str) -> None:
    """Make a new file for its owner alone, and close an existing one to others: it holds every answer.

    SQLite gives the files beside it the same mode. A file of another owner is left as it is.
    """
    if not path or path.startswith((":memory:", "file:")):
        return
    file = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        mode = os.fstat(file).st_mode
        if mode & 0o077 and os.fstat(file).st_uid == os.geteuid():
            os.fchmod(file, mode & 0o700)
            log.warning("%s could be read by others; it is now for its owner alone", path)
    finally:
        os.close(file)


async def _run(url: sa.URL, revision: str) -> None:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(lambda c: _upgrade(c, revision))
    finally:
        await engine.dispose()


def look(url: str) -> str:
    """What a database is like, for people; it is only read. Blocking.

    Raises StorageUnavailable if it cannot be reached, is not there, or has another schema.
    """
    parsed = sa.make_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "").absolute()
            if not path.is_file():
                raise StorageUnavailable(f"there is no file {path} yet; `askback serve` makes it")
            engine = sa.create_engine(f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true")
            try:
                with engine.connect() as connection:
                    return _looked_at(connection)
            finally:
                engine.dispose()
        return asyncio.run(_look(parsed))
    except (OSError, sa.exc.SQLAlchemyError) as error:
        raise StorageUnavailable(f"cannot use the database: {first_line(error)}") from error


async def _look(url: sa.URL) -> str:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_looked_at)
    finally:
        await engine.dispose()


def _looked_at(connection: sa.Connection) -> str:
    if behind := check_schema(connection):
        raise StorageUnavailable(behind)
    server = ".".join(str(number) for number in connection.dialect.server_version_info or ())
    found = MigrationContext.configure(connection).get_current_revision()
    return f"{connection.dialect.name} {server}, schema {found}"


def _upgrade(connection: sa.Connection, revision: str) -> None:
    config = scripts()
    config.attributes["connection"] = connection
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_lock(:id)"), {"id": _LOCK})
        # A pinned writer holds its tables only for milliseconds; never queue all others behind us.
        connection.execute(sa.text("SET lock_timeout = '5s'"))
        connection.commit()
    try:
        if is_newer(connection):
            # A newer version has been here, and nobody goes back.
            if refused := check_schema(connection):
                raise StorageUnavailable(refused)
            return
        command.upgrade(config, revision)
        connection.commit()
    finally:
        if connection.dialect.name == "postgresql":
            connection.rollback()
            connection.execute(sa.text("SELECT pg_advisory_unlock(:id)"), {"id": _LOCK})
            connection.commit()
