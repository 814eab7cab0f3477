"""Which errors mean that the database is unavailable, and not that a statement is wrong.

The caller then gets UNAVAILABLE and retries. PostgreSQL, its driver and SQLAlchemy each have several errors
for it, and more of them while a server starts, stops, or has become a standby.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from traceback import clear_frames

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from askback_server.domain.errors import StorageUnavailable

BROKEN = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    sa.exc.DBAPIError,
    sa.exc.TimeoutError,
)
"""Errors that a driver or its pool may raise when a connection is missing, broken or in an invalid state.

For example, asyncpg raises "cannot switch to state …" if a backend is killed between the messages of a call.
"""

_AWAY = (
    "08",  # connection exceptions
    "25006",  # read-only: a standby, or a former primary
    "25P03",
    "57P",  # terminated: idle too long, by an administrator, a crash, at start or stop
    "53",  # out of connections, memory, disk
    "58",  # system errors
    "40",
    "55P03",
    "57014",  # certainly rolled back: deadlock, recovery conflict, lock timeout, cancel
)
"""SQLSTATEs and prefixes of SQLSTATE classes."""


LOCKED = "55P03"
"""SQLSTATE of a lock timeout."""


def state_of(error: BaseException) -> str:
    """The SQLSTATE of an error that the server sent; empty for other errors."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")


def is_outage(error: BaseException) -> bool:
    """Whether the error means that the database is unavailable, full or read-only, not that the statement is
    wrong."""
    state = state_of(error)
    if state:
        return state.startswith(_AWAY)
    if isinstance(error, sa.exc.DBAPIError):
        if error.connection_invalidated:
            return True
        cause = error.orig.__cause__ if error.orig is not None else None
        if cause is not None and is_outage(cause):
            return True
        driver = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
        return driver and not isinstance(cause, ValueError)
    # The driver also raises InterfaceError for a parameter that it refuses.
    return isinstance(error, BROKEN) and not isinstance(error, ValueError)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without the lines that drivers and SQLAlchemy append."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, asyncpg.TargetServerAttributeNotMatched):
        return "none of the hosts in the database URL takes writes: they are away, standbys, or read-only"
    if isinstance(cause, OSError) and not isinstance(cause, TimeoutError) and cause.errno:
        return _connection_words(cause)
    lines = str(cause).strip().splitlines()
    if not lines and isinstance(cause, TimeoutError):
        return "there was no answer in time"
    return lines[0] if lines else type(error).__name__


def _connection_words(error: OSError) -> str:
    """Why there is no connection, and what to check."""
    if isinstance(error, socket.gaierror):
        return "the host's name cannot be resolved: check the database URL"
    if error.errno == errno.ECONNREFUSED:
        return "connection refused: see that PostgreSQL runs there, and that the database URL is right"
    return os.strerror(error.errno or 0).lower()


@asynccontextmanager
async def connection_of(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection of an engine's pool. Raises StorageUnavailable for an outage.

    The connection then does not return to the pool: the driver may have lost its protocol state, and a
    standby in the place of the primary would answer every ping.
    """
    try:
        try:
            connection = await engine.connect()
        except BROKEN as error:
            raise StorageUnavailable(f"cannot reach the database: {first_line(error)}") from error
        try:
            yield connection
        except BROKEN as error:
            if not is_outage(error):
                raise
            await connection.invalidate()
            raise StorageUnavailable(f"the database does not answer: {first_line(error)}") from error
        finally:
            await connection.close()
    except asyncio.CancelledError as cancelled:
        # A frame of SQLAlchemy keeps its own traceback, and with it the cancelled stream, until the next full
        # garbage collection, which rarely happens.
        clear_frames(cancelled.__traceback__)
        raise


def without_content(error: asyncpg.PostgresError) -> str:
    """An error without user content, for the log.

    The details of an error quote whole rows. The message names columns and constraints for an integrity
    violation (class 23), but quotes the value for a data exception (class 22).
    """
    state = error.sqlstate or ""
    return f"{type(error).__name__}: {error.args[0]}" if state.startswith("23") else type(error).__name__
