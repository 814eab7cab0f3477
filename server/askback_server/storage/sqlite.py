"""SQLite: the embedded default. One connection writes, several read (WAL)."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.clock import Clock
from askback_server.ports.storage import BadData, Position
from askback_server.storage import sqlite_lists as lists
from askback_server.storage.batch import Batch, BatchOutcome
from askback_server.storage.dialect import Dialect, T
from askback_server.storage.outages import connection_of
from askback_server.storage.sqlite_batch import write_rows
from askback_server.storage.sqlite_lookups import Lookups
from askback_server.storage.sqlite_writer import Writer
from askback_server.storage.tables import events
from askback_server.storage.types import Instant, instant_text, keep_text

# At DEBUG it would log the parameters of statements, which contain answers.
logging.getLogger("aiosqlite").setLevel(logging.WARNING)

PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers and the writer do not block one another
    "PRAGMA synchronous=FULL",  # a commit is on disk; with group commit NORMAL gains 1 %
    "PRAGMA foreign_keys=ON",  # off by default, and deletes rely on cascades
    "PRAGMA busy_timeout=5000",  # a migration or a backup may hold the file for a moment
    "PRAGMA temp_store=MEMORY",
)


WRITER_CACHE_KIB = 32_000
"""KiB of page cache of the connection that writes."""
READER_CACHE_KIB = 2_000
"""KiB of page cache of each connection that reads. The operating system caches the file as well."""
MAX_READERS = 16
"""Connections that read. No more are opened in a burst: opening one takes longer than most reads, and each
fills its cache."""


class SQLite(Dialect):
    """One connection writes (`sqlite_writer.py`). Two threads look up, two read lists, aiosqlite reads the
    rest. SQLite has no server, so the clock is the program's."""

    name = "sqlite"

    def __init__(self, url: sa.URL, clock: Clock) -> None:
        if not url.database or url.database == ":memory:":
            raise ValueError("SQLite needs a file: sqlite+aiosqlite:///askback.db")
        self.url = url
        self._clock = clock
        self.reads = create_async_engine(
            url,
            json_serializer=keep_text,
            json_deserializer=keep_text,
            hide_parameters=True,
            pool_size=MAX_READERS,
            max_overflow=0,
            pool_use_lifo=True,
        )
        sa.event.listen(self.reads.sync_engine, "connect", partial(_pragmas, READER_CACHE_KIB))
        engine = sa.create_engine(
            url.set(drivername="sqlite"),
            json_serializer=keep_text,
            json_deserializer=keep_text,
            hide_parameters=True,
            poolclass=sa.pool.StaticPool,
            connect_args={"check_same_thread": False},
        )
        sa.event.listen(engine, "connect", partial(_pragmas, WRITER_CACHE_KIB))
        # The driver's own BEGIN is deferred: a transaction that reads and then writes would fail as busy.
        sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
        self._writer = Writer(engine, self._connect_reader)
        self._lookups = Lookups(self._connect_reader, "askback-look-up")
        self._lists = Lookups(self._connect_reader, "askback-list")

    async def open(self) -> None:
        """Open the file. Raises StorageUnavailable."""
        try:
            await self._writer.open()
            await self._writer.call(self._lookups.open)
            await self._writer.call(self._lists.open)
            await (await self.reads.connect()).close()  # the pool keeps it
        except (sqlite3.Error, sa.exc.DBAPIError) as error:
            raise StorageUnavailable(f"cannot open {self.url.database}: {error}") from error

    async def write(self, batch: Batch) -> BatchOutcome:
        """One transaction. Raises BadData, StorageUnavailable."""
        is_small = len(batch.changed_jobs) + len(batch.new_jobs) == 1
        try:
            outcome = await self._writer.transact(
                lambda cursor: write_rows(cursor, batch, self._clock.now()), batch.rows, is_small
            )
        except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError) as error:
            raise BadData(str(error)) from error
        except (sqlite3.ProgrammingError, ValueError) as error:
            # A ValueError is a lone surrogate, which has no encoding in UTF-8.
            raise BadData(str(error)) from error
        except sqlite3.Error as error:
            raise StorageUnavailable(f"SQLite cannot write {self.url.database}: {error}") from error
        return outcome

    async def run(self, work: Callable[[sa.Connection], Any]) -> Any:
        """Run a small transaction between two batches."""
        try:
            return await self._writer.run(work)
        except sa.exc.OperationalError as error:
            raise StorageUnavailable(f"SQLite cannot write {self.url.database}: {error}") from error

    async def read_snapshot(self, work: Callable[[sa.Connection], T]) -> T:
        """A deferred transaction: its first statement takes the snapshot."""
        async with connection_of(self.reads) as connection:
            await connection.exec_driver_sql("BEGIN")
            return await connection.run_sync(work)

    def lock(self, connection: sa.Connection, key: int) -> None:
        """Nothing: there is one writer."""

    def now(self) -> sa.ColumnElement[datetime]:
        """The program's time."""
        return self.later(0)

    def later(self, seconds: float) -> sa.ColumnElement[datetime]:
        """The program's time plus `seconds`, read when the statement runs."""
        span = timedelta(seconds=seconds)
        return sa.bindparam("later", unique=True, callable_=lambda: self._clock.now() + span, type_=Instant())

    @staticmethod
    def time(name: str) -> sa.ColumnElement[datetime]:
        """A parameter."""
        return sa.bindparam(name, None, type_=Instant())

    def give_time(self, name: str, ahead: timedelta = timedelta(0)) -> Mapping[str, Any]:
        """The program's time plus `ahead`."""
        return {name: instant_text(self._clock.now() + ahead)}

    @staticmethod
    def is_settled(xid: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Always true: with one writer, ids are in the order of commits."""
        return sa.true()

    def in_log(self, after: Position, end: Position | None = None) -> sa.ColumnElement[bool]:
        """Ids of the xid 0, which all events have. Of a row comparison SQLite serves only the first column by
        an index: each read would walk the whole log."""
        part = sa.and_(events.c.xid == 0, events.c.id > after.id)
        return part if end is None else sa.and_(part, events.c.id <= end.id)

    @staticmethod
    def in_log_after(xid: str, id: str) -> sa.ColumnElement[bool]:
        """The same for a named position."""
        is_first = sa.bindparam(xid, None, type_=events.c.xid.type) == events.c.xid
        return sa.and_(is_first, events.c.id > sa.bindparam(id, None, type_=sa.BigInteger()))

    def among(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """`IN` with the elements of one JSON array."""
        return lists.among(column, values)

    among_array = staticmethod(lists.among_array)

    def connections(self) -> Mapping[str, int]:
        """As in the base, with those for look-ups and lists."""
        each = super().connections(), self._lookups.connections(), self._lists.connections()
        return {state: sum(found[state] for found in each) for state in each[0]}

    async def look_up(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any], values: Mapping[str, Any]
    ) -> Sequence[Any]:
        """In a thread for look-ups."""
        return await self._lookups.run(statement, values)

    async def read_list(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any], values: Mapping[str, Any]
    ) -> Sequence[Any]:
        """In a thread for lists."""
        return await self._lists.run(statement, values)

    def _connect_reader(self) -> sqlite3.Connection:
        """Open a connection that only reads, for several threads in turn."""
        connect: Any = sqlite3.connect
        arguments, options = self._writer.engine.dialect.create_connect_args(self.url)
        connection: sqlite3.Connection = connect(*arguments, **{**options, "check_same_thread": False})
        _pragmas(READER_CACHE_KIB, connection, None)
        return connection

    def marks(self, marks: Mapping[str, int]) -> sa.FromClause:
        """The members of one JSON object."""
        return lists.marks(marks)

    pairs = staticmethod(lists.pairs)
    give_pairs = staticmethod(lists.give_pairs)

    @classmethod
    def firsts(
        cls,
        name: str,
        first: Callable[[sa.ColumnElement[Any], sa.ColumnElement[Any]], sa.Select[Any]],
    ) -> sa.FromClause:
        """Without lateral joins: an array of ids for each pair, whose rows are then selected."""
        return lists.firsts(name, first)

    octets = staticmethod(lists.octets)

    has_labels = staticmethod(lists.has_labels)
    texts = staticmethod(lists.texts)
    named_texts = staticmethod(lists.named_texts)
    has_any = staticmethod(lists.has_any)
    has_flag = staticmethod(lists.has_flag)

    def last_to_drop(self, before: datetime, limit: int) -> sa.Select[Any]:
        """The last of the first `limit` events before the first one that must be kept. Times are not indexed,
        so nothing behind these is read."""
        first = sa.select(events.c.xid, events.c.id, events.c.at).order_by(events.c.xid, events.c.id)
        some = first.limit(limit).cte("some")
        kept = sa.select(sa.func.min(some.c.id)).where(some.c.at >= before).scalar_subquery()
        old = sa.select(some.c.xid, some.c.id).where(sa.func.coalesce(some.c.id < kept, sa.true()))
        return old.order_by(some.c.id.desc()).limit(1)

    async def drop_events(self, before: datetime, last: Position) -> int:
        """Delete the rows up to a position."""
        part = self.in_log(Position(), last)
        return int(await self.run(lambda c: c.execute(sa.delete(events).where(part)).rowcount))

    async def make_room(self) -> None:
        """Nothing to do: SQLite has no partitions."""

    async def close(self) -> None:
        """Close the readers, then the writer."""
        await self._lookups.close()
        await self._lists.close()
        await self.reads.dispose()
        await self._writer.close()


def _pragmas(cache: int, driver_connection: Any, _: Any) -> None:
    # The driver must not begin transactions: we begin them explicitly, with BEGIN IMMEDIATE.
    if isinstance(driver_connection, sqlite3.Connection):
        driver_connection.isolation_level = None
    cursor = driver_connection.cursor()
    for pragma in (*PRAGMAS, f"PRAGMA cache_size=-{cache}"):
        cursor.execute(pragma)
    cursor.close()
