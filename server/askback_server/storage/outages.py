"""Which errors say that the database is away, and not that something is wrong with us.

Whoever meets one is told UNAVAILABLE and comes again. PostgreSQL, its driver and SQLAlchemy each have
several ways to say it, and more of them while a server starts, stops, or has become a standby.
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
"""All that a driver or its pool may raise when a connection is not there, breaks, or is in disorder: a
backend that is killed between the messages of one call leaves asyncpg "cannot switch to state …"."""

_AWAY = (
    "08",  # connection exceptions
    "25006",  # read only: a standby, or a primary that has been made one
    "25P03",
    "57P",  # ended: idle too long, by an administrator, a crash, a start or a stop
    "53",  # out of connections, memory, disk
    "58",  # the machine below
    "40",
    "55P03",
    "57014",  # rolled back for sure: deadlock, recovery conflict, lock timeout, cancel
)
"""SQLSTATEs, or the beginnings of their classes."""


LOCKED = "55P03"
"""SQLSTATE of a lock that was not granted in time."""


def state_of(error: BaseException) -> str:
    """The SQLSTATE of what a server said; empty if it said nothing."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")


def is_outage(error: BaseException) -> bool:
    """Whether the database is away, full or read-only, rather than the statement wrong."""
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
    # The driver's own refusal of a parameter is an InterfaceError too.
    return isinstance(error, BROKEN) and not isinstance(error, ValueError)


def first_line(error: BaseException) -> str:
    """An error's message without what drivers and SQLAlchemy add below it."""
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
    """Why there is no connection, with what to look at."""
    if isinstance(error, socket.gaierror):
        return "the host's name cannot be resolved: check the database URL"
    if error.errno == errno.ECONNREFUSED:
        return "connection refused: see that PostgreSQL runs there, and that the database URL is right"
    return os.strerror(error.errno or 0).lower()


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection of an engine's pool. Raises StorageUnavailable for an outage, and then it does not go
    back into the pool: the driver may not know any more where it stands, and a standby in the primary's
    place would answer every ping."""
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
        # A frame of SQLAlchemy's keeps its own traceback, and with it the stream that was cancelled, until
        # the next full garbage collection: there is hardly ever one.
        clear_frames(cancelled.__traceback__)
        raise
