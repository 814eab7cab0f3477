"""The connections to PostgreSQL, each kind with its own name in pg_stat_activity.

A URL may name several hosts (`?host=a:5432&host=b:5432`): every new connection looks for the one that takes
writes, and a connection to a server that is no longer the primary is not used (primary.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from askback_server.storage.primary import Driver, Primary
from askback_server.storage.types import keep_text

CONNECT_TIMEOUT = 10.0
"""Seconds for a new connection, and for waiting for one of the pool."""
POOL_SIZE = 8
"""Connections for reads: 8 to 16 are best on small machines; 64 are slower than 16 (measured)."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_SET = "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value)"
_GENERATION = "askback_generation"

WRITER_SETTINGS = {
    # The size of a batch changes with every call, and a custom plan would cost 0.9 ms each time.
    "plan_cache_mode": "force_generic_plan",
    # JIT compilation of a statement of this size costs far more than running it.
    "jit": "off",
    # The plan must not depend on the size of the tables when it was made: every table is read
    # by an index, for the rows of the batch. (Planned on empty tables, it scanned whole tables.)
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    # A frozen client in the middle of a statement holds row locks: the server must end it.
    "lock_timeout": "10s",
    "statement_timeout": "20s",
    "idle_in_transaction_session_timeout": "20s",
    "tcp_user_timeout": "20000",
}


class Pools:
    """Engines for one database URL, all of whose connections lead to the same primary."""

    def __init__(self, url: sa.URL) -> None:
        self.primary = Primary()
        self._url = url
        self.reads = self.engine(
            "askback",
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            pool_timeout=CONNECT_TIMEOUT,
            isolation_level="AUTOCOMMIT",
        )
        """For reads; a read on a broken connection is retried (reader.py)."""
        self.sessions = self.engine(
            "askback sessions", pool_size=1, max_overflow=1, pool_timeout=CONNECT_TIMEOUT, pool_pre_ping=True
        )
        """For small transactions. They are not retried, so each connection is tested before use."""
        self.writer = self.engine("askback writer", WRITER_SETTINGS, pool_size=1, max_overflow=0)
        """For the one connection that writes batches."""

    @property
    def place(self) -> str:
        """` at HOST:PORT`; empty where the URL names no host, or several."""
        return f" at {self._url.host}:{self._url.port or 5432}" if self._url.host else ""

    def engine(self, name: str, settings: Mapping[str, str] = _NOTHING, **options: Any) -> AsyncEngine:
        """An engine whose connections have their own name in pg_stat_activity and their own settings."""
        engine = create_async_engine(
            self._url,
            json_serializer=keep_text,
            json_deserializer=keep_text,
            hide_parameters=True,
            connect_args=_arguments(self._url, name),
            **options,
        )

        async def prepare(driver: Driver) -> int:
            try:
                generation = await self.primary.admit(driver)
                # Not as start-up parameters: PgBouncer refuses those that it does not know.
                if settings:
                    await driver.fetch(_SET, list(settings), list(settings.values()))
                return generation
            except BaseException:
                driver.terminate()  # it is not in the pool yet
                raise

        @sa.event.listens_for(engine.sync_engine, "connect")
        def connect(connection: Any, record: Any) -> None:
            record.info[_GENERATION] = connection.run_async(prepare)

        @sa.event.listens_for(engine.sync_engine, "checkout")
        def check_out(connection: Any, record: Any, proxy: Any) -> None:
            if record.info[_GENERATION] != self.primary.generation:
                raise sa.exc.DisconnectionError("the primary is another server than before")

        return engine

    @asynccontextmanager
    async def own(self, name: str) -> AsyncIterator[Driver]:
        """A connection outside the pools, in autocommit, with a name in pg_stat_activity.

        It is closed when another server becomes the primary. Raises the errors of asyncpg, and
        StorageUnavailable for a standby.
        """
        async with self.engine(name, poolclass=NullPool).connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Driver = raw.driver_connection  # type: ignore[assignment]
            self.primary.watch(driver)
            try:
                yield driver
            finally:
                # Without a goodbye: on a hanging connection it would hang too.
                driver.terminate()
                await connection.invalidate()


@asynccontextmanager
async def driver_of(engine: AsyncEngine) -> AsyncIterator[Driver]:
    """A connection of an engine's pool without SQLAlchemy's transactions. After an error it is closed."""
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver: Driver = raw.driver_connection  # type: ignore[assignment]
        try:
            yield driver
        except BaseException:
            driver.terminate()  # a goodbye could hang
            await connection.invalidate()
            raise


def _arguments(url: sa.URL, name: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {"server_settings": {"application_name": name}, "timeout": CONNECT_TIMEOUT}
    hosts = url.query.get("host", ())
    if isinstance(hosts, tuple) and len(hosts) > 1 and "target_session_attrs" not in url.query:
        arguments["target_session_attrs"] = "read-write"
    return arguments
