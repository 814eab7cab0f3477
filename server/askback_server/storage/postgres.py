"""PostgreSQL, by asyncpg."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import asyncpg
import sqlalchemy as sa
from asyncpg.prepared_stmt import PreparedStatement
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.storage import BadData, Holder, Position, UnknownOutcome
from askback_server.ports.wakeups import Wakeups
from askback_server.storage import postgres_lists as lists
from askback_server.storage.batch import Batch, BatchOutcome
from askback_server.storage.history import check_history
from askback_server.storage.outages import (
    BROKEN,
    LOCKED,
    connection_of,
    first_line,
    state_of,
    without_content,
)
from askback_server.storage.pooler import refuse_shared_connections
from askback_server.storage.postgres_batch import reasons, statement
from askback_server.storage.postgres_days import drop_day, make_days
from askback_server.storage.postgres_holder import find_holder
from askback_server.storage.postgres_lookups import PostgresLookups
from askback_server.storage.postgres_pools import Pools, driver_of, raw_driver
from askback_server.storage.postgres_rows import LOSERS, RowTypes
from askback_server.storage.postgres_wakeups import PostgresWakeups

_log = logging.getLogger("askback.server.storage")

PLAN_SECONDS = 3600.0
"""Seconds after which a statement is planned again."""

_REFUSED = ("22", "23")
"""SQLSTATE classes for bad data: data exception, integrity violation."""

_CHECK = "23514"
"""SQLSTATE of a row that a check refuses or that fits no partition."""

_READ_ONLY = "25006"
"""SQLSTATE of a standby or a former primary: the next connection may reach the new primary."""

_ABORTED = ("40", "55", "57014")
"""SQLSTATEs of a certain rollback, after which to retry: deadlock, lock timeout, cancel."""


class _NoPartition(StorageUnavailable):
    """The log has no partition for the day of a row."""


@dataclass(slots=True)
class _Prepared:
    call: PreparedStatement[asyncpg.Record]
    parts: list[str]
    """For each parameter in order: the part of the batch that it carries."""
    made: float


@lru_cache(maxsize=512)
def _compile(shape: tuple[str, ...]) -> tuple[str, list[str]]:
    """The statement of a shape as text, compiled once (some milliseconds), and its parameters."""
    compiled = statement(shape).compile(dialect=asyncpg_dialect())  # type: ignore[no-untyped-call]
    return str(compiled), list(compiled.positiontup or ())


@lru_cache(maxsize=1)
def _compile_reasons() -> str:
    return str(reasons().compile(dialect=asyncpg_dialect()))  # type: ignore[no-untyped-call]


class Postgres(PostgresLookups):
    """One pinned connection writes, with prepared statements in autocommit. A pool reads. Another small pool
    extends sessions, so that heartbeats never queue behind batches."""

    name = "postgresql"

    def __init__(self, url: sa.URL) -> None:
        self._pools = Pools(url)
        self.reads = self._pools.reads
        self._pinned_reads, self._pinned_lists = self._pools.pinned, self._pools.pinned_lists
        self._pinned: AsyncConnection | None = None
        self._generation = 0
        self._prepared: dict[tuple[str, ...], _Prepared] = {}
        self._row_types = RowTypes()

    async def open(self) -> None:
        """Connect the writer. Raises StorageUnavailable."""
        try:
            # Before the writer changes settings of its connection, which a pooler would lend to others.
            await refuse_shared_connections(driver_of(self.reads), driver_of(self._pools.sessions))
            await self._connection()
        except BROKEN as error:
            where = self._pools.place
            raise StorageUnavailable(f"cannot reach PostgreSQL{where}: {first_line(error)}") from error

    async def _connection(self) -> asyncpg.Connection[asyncpg.Record]:
        primary = self._pools.primary
        if self._pinned is not None and self._generation != primary.generation:
            await self._disconnect()
        if self._pinned is None:
            # Pinned: a pool would send a reset query at each release (30 % of the round trips).
            self._pinned = await self._pools.writer.connect()
            self._generation = primary.generation
            self._prepared.clear()
            self._row_types.clear()
        driver = await raw_driver(self._pinned)
        if driver.is_closed():
            # It broke between two writes: no outcome is unknown, and no caller is affected.
            await self._disconnect()
            return await self._connection()
        return driver

    async def _disconnect(self) -> None:
        pinned, self._pinned = self._pinned, None
        self._prepared.clear()
        if pinned is not None:
            try:
                await pinned.invalidate()
                await pinned.close()
            except Exception as error:
                _log.debug("closing a broken writer connection: %s", error)

    async def write(self, batch: Batch) -> BatchOutcome:
        """One statement, one round trip. Raises UnknownOutcome, BadData, StorageUnavailable."""
        try:
            return await self._write(batch)
        except _NoPartition as error:
            # No replica has created partitions for a week. Nothing was written.
            _log.warning("%s; making those of the days ahead", error)
            await self.make_room()
            return await self._write(batch)

    async def _write(self, batch: Batch) -> BatchOutcome:
        try:
            connection = await self._connection()
            prepared = await self._prepare(connection, batch.shape)
        except BROKEN as error:
            await self._disconnect()
            raise StorageUnavailable(f"cannot reach PostgreSQL: {first_line(error)}") from error
        parameters = [getattr(batch, part) for part in prepared.parts]
        try:
            row = await prepared.call.fetchrow(*parameters)
        except asyncpg.PostgresError as error:
            await self._judge(error)
        except (asyncpg.InterfaceError, ValueError, TypeError, OverflowError) as error:
            if connection.is_closed():
                await self._disconnect()
                raise UnknownOutcome(str(error)) from error
            raise BadData(str(error)) from error
        except (OSError, TimeoutError, asyncpg.InternalClientError) as error:
            await self._disconnect()
            raise UnknownOutcome(str(error) or "timeout") from error
        finally:
            self._pools.times.clear()
        assert row is not None
        outcome = BatchOutcome(now=row["now"], written=set(row["won"] or ()))
        outcome.partly.update(row["partly"] or ())
        await self._explain(connection, batch, outcome)
        return outcome

    async def _explain(
        self, connection: asyncpg.Connection[asyncpg.Record], batch: Batch, outcome: BatchOutcome
    ) -> None:
        """Ask which guards failed, and add it to the outcome.

        If the question fails, the jobs count as lost versions: the engine reads them again and decides again.
        """
        losers = batch.losers(outcome)
        if not losers:
            return
        try:
            await self._row_types.create(connection, [LOSERS])
            row = await connection.fetchrow(_compile_reasons(), losers)
        except (*BROKEN, StorageUnavailable) as error:
            await self._disconnect()
            _log.warning("cannot determine why guards failed; treating them as version conflicts: %s", error)
            return
        assert row is not None
        outcome.expired.update(row["dead"] or ())
        outcome.late.update(row["late"] or ())
        outcome.superseded.update(row["moved"] or ())

    async def _judge(self, error: asyncpg.PostgresError) -> None:
        """Raise the error that a server error means for the batch."""
        state = error.sqlstate or ""
        if state == _CHECK and not error.constraint_name:
            # Not one of our constraints: the partition of the day is missing, which the caller
            # cannot fix.
            raise _NoPartition("the log has no partition for today") from error
        if state.startswith(_REFUSED):
            raise BadData(without_content(error)) from error
        if state.startswith(_ABORTED):
            raise StorageUnavailable(f"PostgreSQL gave the write up: {error}") from error
        if state == _READ_ONLY:
            await self._disconnect()
            raise StorageUnavailable(f"PostgreSQL takes no writes here: {error}") from error
        # A stale plan after a migration (0A000), a shutdown (57P01) or another error: reconnect.
        await self._disconnect()
        if isinstance(error, asyncpg.FeatureNotSupportedError):
            raise StorageUnavailable("the schema changed; trying again") from error
        raise UnknownOutcome(str(error)) from error

    async def _prepare(
        self, connection: asyncpg.Connection[asyncpg.Record], shape: tuple[str, ...]
    ) -> _Prepared:
        known = self._prepared.get(shape)
        if known is not None and time.monotonic() - known.made < PLAN_SECONDS:
            return known
        sql, parts = _compile(shape)
        await self._row_types.create(connection, parts)
        call = await connection.prepare(sql)
        # The second prepare() of asyncpg sends no Sync, and the backend would keep its table locks.
        await connection.execute("select 1")
        prepared = self._prepared[shape] = _Prepared(call, parts, time.monotonic())
        return prepared

    async def run(self, work: Callable[[sa.Connection], Any]) -> Any:
        """Run a small transaction on the pool for sessions."""
        async with connection_of(self._pools.sessions) as connection, connection.begin():
            return await connection.run_sync(work)

    def lock(self, connection: sa.Connection, key: int) -> None:
        """By an advisory lock."""
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    def wakeups(self) -> Wakeups:
        """The channel by LISTEN and NOTIFY."""
        return PostgresWakeups(self._pools.own)

    def now(self) -> sa.ColumnElement[datetime]:
        """`clock_timestamp()`, because `now()` is the time when the transaction began."""
        return sa.func.clock_timestamp(type_=sa.DateTime(timezone=True))

    def later(self, seconds: float) -> sa.ColumnElement[datetime]:
        """`clock_timestamp()` plus an interval."""
        return self.now() + sa.literal(timedelta(seconds=seconds), pg.INTERVAL())

    @staticmethod
    def is_settled(xid: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Below the oldest running transaction: no further event can appear there."""
        return xid < sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot(), type_=xid.type)

    def among(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """`= ANY` of one array: the text of the statement does not depend on its length."""
        return column == sa.any_(sa.literal(list(values), pg.ARRAY(column.type)))

    def marks(self, marks: Mapping[str, int]) -> sa.FromClause:
        """Two arrays (postgres_lists.py)."""
        return lists.marks(marks)

    def check_history(self, connection: sa.Connection) -> str:
        """Refuse a log with transaction ids of another cluster: the feed would wait for them."""
        return check_history(connection)

    async def holder(self) -> Holder | None:
        """The session or prepared transaction with the oldest transaction id, if our role may see it."""
        async with connection_of(self.reads) as connection:
            return await connection.run_sync(find_holder)

    pairs = staticmethod(lists.pairs)
    give_pairs = staticmethod(lists.give_pairs)

    @classmethod
    def firsts(
        cls,
        name: str,
        first: Callable[[sa.ColumnElement[Any], sa.ColumnElement[Any]], sa.Select[Any]],
    ) -> sa.FromClause:
        """A lateral join with the pairs."""
        each = cls.pairs(name)
        found = first(each.c.one, each.c.other).correlate(each).lateral("found")
        return sa.select(found).select_from(each.join(found, sa.true())).subquery()

    has_labels = staticmethod(lists.has_labels)
    texts = staticmethod(lists.texts)
    named_texts = staticmethod(lists.named_texts)
    has_any = staticmethod(lists.has_any)
    has_flag = staticmethod(lists.has_flag)

    async def drop_events(self, before: datetime, last: Position) -> int:
        """Drop the oldest partition."""
        try:
            return int(await self.run(lambda connection: drop_day(connection, before)))
        except StorageUnavailable as error:
            if error.__cause__ is None or state_of(error.__cause__) != LOCKED:
                raise
            _log.info("a long-running reader locks old event partitions; the next sweep retries")
            return 0

    async def make_room(self) -> None:
        """Create the partitions of the coming days."""
        await self.run(make_days)

    async def close(self) -> None:
        """Close every connection."""
        await self._disconnect()
        await self._pinned_reads.close()
        await self._pinned_lists.close()
        for engine in (self._pools.writer, self._pools.sessions, self.reads):
            try:
                await asyncio.wait_for(engine.dispose(), 10)
            except (OSError, TimeoutError, asyncpg.PostgresError) as error:
                _log.warning("closing PostgreSQL connections: %s", error)
