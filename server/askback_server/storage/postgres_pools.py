"""The connections to PostgreSQL, each kind with its own name in pg_stat_activity.

A URL may name several hosts (`?host=a:5432&host=b:5432`): every new connection looks for the one that takes
writes, and a connection to a server that is no longer the primary is not used (primary.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.postgres_rows import NEEDS_TEMPORARY, Times, convert_times
from askback_server.storage.primary import Driver, Primary
from askback_server.storage.types import keep_text

CONNECT_TIMEOUT = 10.0
"""Seconds for a new connection, and for waiting for one of the pool."""
CALL_TIMEOUT = 30.0
"""Seconds for each statement of the service: one on a connection that the network has forgotten ends too. The
server's own timeout of a write is shorter."""
PINNED = 4
"""Connections of the pool for reads that are kept for statements which the driver runs itself, and as many
for such statements of lists."""
OPEN_AFTER = 0.03
"""Seconds that a look-up waits for a connection in use before it opens another one: that takes about as long,
and much more CPU."""
POOL_SIZE = 16
"""Connections for reads, opened as they are needed: 8 to 16 are best on small machines; 64 are slower than 16
(measured). None is an overflow of the pool, which would be closed when it is given back: under load the pool
would open one for nearly every use, and a new connection costs the database more than 10 ms of CPU."""
SESSIONS_POOL_SIZE = 2
"""Connections for small transactions."""

_SET = "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value)"
_MAY_CREATE_TYPES = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"
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
        pool: dict[str, Any] = {"max_overflow": 0, "pool_timeout": CONNECT_TIMEOUT, "pool_use_lifo": True}
        self.reads = self.engine("askback", pool_size=POOL_SIZE, isolation_level="AUTOCOMMIT", **pool)
        """For reads; a read on a broken connection is retried (reader.py)."""
        self.pinned = PinnedDrivers(self.reads, self.primary)
        self.pinned_lists = PinnedDrivers(self.reads, self.primary)
        self.sessions = self.engine(
            "askback sessions", pool_size=SESSIONS_POOL_SIZE, pool_pre_ping=True, **pool
        )
        """For small transactions. They are not retried, so each connection is tested before use."""
        self.writer = self.engine("askback writer", self._prepare_writer, pool_size=1, **pool)
        """For the one connection that writes batches."""
        self.times = Times()
        """Of the batch that is being written. To be cleared after it."""

    async def _prepare_writer(self, driver: Driver) -> None:
        # Not as start-up parameters: PgBouncer refuses those that it does not know.
        await driver.fetch(_SET, list(WRITER_SETTINGS), list(WRITER_SETTINGS.values()))
        await convert_times(driver, self.times)
        if not await driver.fetchval(_MAY_CREATE_TYPES):
            raise StorageUnavailable(NEEDS_TEMPORARY)

    @property
    def place(self) -> str:
        """` at HOST:PORT`; empty where the URL names no host, or several."""
        return f" at {self._url.host}:{self._url.port or 5432}" if self._url.host else ""

    def engine(
        self,
        name: str,
        first: Callable[[Driver], Awaitable[None]] | None = None,
        *,
        is_slow: bool = False,
        **options: Any,
    ) -> AsyncEngine:
        """An engine whose connections have their own name in pg_stat_activity. Each new one is passed to
        `first`. A statement has CALL_TIMEOUT, or with `is_slow` as long as it takes."""
        engine = create_async_engine(
            self._url,
            json_serializer=keep_text,
            json_deserializer=keep_text,
            hide_parameters=True,
            connect_args=_arguments(self._url, name, None if is_slow else CALL_TIMEOUT),
            **options,
        )

        async def prepare(driver: Driver) -> int:
            try:
                generation = await self.primary.admit(driver)
                if first is not None:
                    await first(driver)
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
        # Not by an engine: it would send four questions on its first connection.
        _, options = self.reads.dialect.create_connect_args(self._url)
        for name_of_sqlalchemy in ("prepared_statement_cache_size", "prepared_statement_name_func"):
            options.pop(name_of_sqlalchemy, None)
        driver: Driver = await asyncpg.connect(**{**options, **_arguments(self._url, name, CALL_TIMEOUT)})
        try:
            await self.primary.admit(driver)
            self.primary.watch(driver)
            yield driver
        finally:
            driver.terminate()  # a goodbye on a hanging connection would hang too


async def raw_driver(connection: AsyncConnection) -> Driver:
    """The driver's connection under one of SQLAlchemy."""
    driver: Driver = (await connection.get_raw_connection()).driver_connection  # type: ignore[assignment]
    return driver


@asynccontextmanager
async def driver_of(engine: AsyncEngine) -> AsyncIterator[Driver]:
    """A connection of an engine's pool without SQLAlchemy's transactions. After an error it is closed."""
    async with engine.connect() as connection:
        driver = await raw_driver(connection)
        try:
            yield driver
        except BaseException:
            driver.terminate()  # a goodbye could hang
            await connection.invalidate()
            raise


class PinnedDrivers:
    """Connections of a pool that are not given back between two uses.

    To lend and take back a connection costs SQLAlchemy 100 µs of CPU, twice what the driver needs for a small
    statement. A connection is opened at its first use.
    """

    def __init__(self, engine: AsyncEngine, primary: Primary) -> None:
        self._engine = engine
        self._primary = primary
        self._room = asyncio.Semaphore(PINNED)
        self._idle: list[tuple[AsyncConnection, Driver]] = []
        self._in_use = 0
        """Connections that are being opened or used."""
        self._given_back = asyncio.Event()

    @property
    def idle(self) -> int:
        """The number of connections that are open and not in use."""
        return len(self._idle)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Driver]:
        """A connection in autocommit. After an error it is closed.

        Raises TimeoutError if all are in use for CONNECT_TIMEOUT, and the errors of connecting.
        """
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await self._room.acquire()
        try:
            if not self._idle and self._in_use:
                await self._wait_for_idle()
            self._in_use += 1
            try:
                connection, driver = await self._take()
                try:
                    yield driver
                except BaseException as error:
                    driver.terminate()  # a goodbye could hang
                    await _give_up(connection)
                    if isinstance(error, TimeoutError):  # as likely on the others, which are as old
                        await self._give_up_idle()
                    raise
                self._idle.append((connection, driver))
            finally:
                self._in_use -= 1
                self._given_back.set()
        finally:
            self._room.release()

    async def _wait_for_idle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_AFTER):
                while not self._idle and self._in_use:
                    self._given_back.clear()
                    await self._given_back.wait()

    async def _take(self) -> tuple[AsyncConnection, Driver]:
        while self._idle:
            connection, driver = self._idle.pop()
            if not driver.is_closed():
                return connection, driver
            await _give_up(connection)  # the server has closed it, or another one is the primary
        connection = await self._engine.connect()
        opened = await raw_driver(connection)
        self._primary.watch(opened)
        return connection, opened

    async def _give_up_idle(self) -> None:
        while self._idle:
            connection, driver = self._idle.pop()
            driver.terminate()
            await _give_up(connection)

    async def close(self) -> None:
        """Give the connections back to the pool, which closes them."""
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close()


async def _give_up(connection: AsyncConnection) -> None:
    """Give a broken connection back, so that the pool opens another one in its place."""
    await connection.invalidate()
    await connection.close()


def _arguments(url: sa.URL, name: str, call_timeout: float | None) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "server_settings": {"application_name": name},
        "timeout": CONNECT_TIMEOUT,
        "command_timeout": call_timeout,
    }
    hosts = url.query.get("host", ())
    if isinstance(hosts, tuple) and len(hosts) > 1 and "target_session_attrs" not in url.query:
        arguments["target_session_attrs"] = "read-write"
    return arguments
