"""The connections to PostgreSQL, each kind under its own name in pg_stat_activity.

A URL may name several hosts (`?host=a:5432&host=b:5432&target_session_attrs=read-write`): every new
connection looks for the one that takes writes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from askback_server.storage.dialect import identity

CONNECT = 10.0
"""Seconds that a new connection may take, or a call may wait for one of the pool."""
POOL = 8
"""Connections for reads: 8 to 16 are best on small machines; 64 are slower than 16."""

WRITER_SETTINGS = {
    # The batch's size changes with every call: a custom plan would cost 0.9 ms each time.
    "plan_cache_mode": "force_generic_plan",
    # Compiling a statement of this size by LLVM costs far more than it runs.
    "jit": "off",
    # The plan must not depend on how large the tables were when it was made: every table is entered
    # by an index, for the rows of the batch. (Planned on empty tables, it scanned them whole.)
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    # A frozen client in mid-statement holds row locks: let the server end it.
    "lock_timeout": "10s",
    "statement_timeout": "20s",
    "idle_in_transaction_session_timeout": "20s",
    "tcp_user_timeout": "20000",
    "application_name": "askback writer",
}


def _engine(url: sa.URL, settings: dict[str, str], **options: Any) -> AsyncEngine:
    return create_async_engine(
        url, json_serializer=identity, json_deserializer=identity, hide_parameters=True,
        connect_args={"server_settings": settings, "timeout": CONNECT}, **options,
    )  # fmt: skip


def reads(url: sa.URL) -> AsyncEngine:
    """A pool for statements that change nothing; what broke in it is read again (see reads.py)."""
    return _engine(
        url, {"application_name": "askback"}, pool_size=POOL, max_overflow=POOL, pool_timeout=CONNECT,
        isolation_level="AUTOCOMMIT",
    )  # fmt: skip


def sessions(url: sa.URL) -> AsyncEngine:
    """For small transactions. What is written here is not written again: look before using it."""
    return _engine(
        url, {"application_name": "askback sessions"}, pool_size=1, max_overflow=1, pool_timeout=CONNECT,
        pool_pre_ping=True,
    )  # fmt: skip


def writer(url: sa.URL) -> AsyncEngine:
    """For the one connection that writes batches."""
    return _engine(url, WRITER_SETTINGS, pool_size=1, max_overflow=0)


@asynccontextmanager
async def own(url: sa.URL, name: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection beside the pools, in autocommit, under a name."""
    async with _engine(url, {"application_name": name}, poolclass=NullPool).connect() as connection:
        raw = await connection.get_raw_connection()
        driver: asyncpg.Connection[asyncpg.Record] = raw.driver_connection  # type: ignore[assignment]
        try:
            yield driver
        finally:
            # At once: a goodbye on a connection that hangs would hang too.
            driver.terminate()
            await connection.invalidate()
