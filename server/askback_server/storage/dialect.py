"""What differs between the databases: two subclasses, chosen by the URL.

A dialect opens the engine for reads, owns the single writer, builds the few expressions that differ, and
translates errors. A list of any length is one parameter, so the text of a statement does not grow with the
request: it is compiled and planned once. Everything else is shared: one set of tables and Core statements.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from askback_server.ports.storage import Holder, Position
from askback_server.ports.wakeups import NoWakeups, Wakeups
from askback_server.storage.batch import Batch, BatchOutcome
from askback_server.storage.tables import events

T = TypeVar("T")


class Dialect(ABC):
    """The operations that each database implements in its own way."""

    name: str
    reads: AsyncEngine
    """The engine for reads."""

    def connections(self) -> Mapping[str, int]:
        """Connections for reads, by state: `in_use` and `idle`."""
        pool: Any = self.reads.pool
        return {"in_use": pool.checkedout(), "idle": pool.checkedin()}

    @abstractmethod
    async def open(self) -> None:
        """Connect the writer. Raises StorageUnavailable."""

    @abstractmethod
    async def write(self, batch: Batch) -> BatchOutcome:
        """Write a batch durably. Raises UnknownOutcome, BadData, StorageUnavailable."""

    @abstractmethod
    async def run(self, work: Callable[[sa.Connection], Any]) -> Any:
        """Run a small transaction on session rows or settings. It does not wait behind batches."""

    @abstractmethod
    async def read_snapshot(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a function that only reads, several statements as of one moment. Raises StorageUnavailable."""

    @abstractmethod
    def lock(self, connection: sa.Connection, key: int) -> None:
        """Let other transactions that lock the same key wait for the end of this one."""

    @abstractmethod
    def now(self) -> sa.ColumnElement[datetime]:
        """The database's time when the statement runs, as an expression: not when the transaction began."""

    @abstractmethod
    def later(self, seconds: float) -> sa.ColumnElement[datetime]:
        """The database's current time plus `seconds`, as an expression."""

    @staticmethod
    @abstractmethod
    def time(name: str) -> sa.ColumnElement[datetime]:
        """The time that `look_up` is given under a name by `give_time`, as an expression."""

    @abstractmethod
    def give_time(self, name: str, ahead: timedelta = timedelta(0)) -> Mapping[str, Any]:
        """The value for `look_up` of the database's time when the statement runs, plus `ahead`."""

    @staticmethod
    @abstractmethod
    def is_settled(xid: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Whether an event is settled: no transaction can still add an event before it."""

    def in_log(self, after: Position, end: Position | None = None) -> sa.ColumnElement[bool]:
        """Whether a row of `events` comes after a position of the log, up to `end` and including it.

        The index of the log is read from `after` to `end` only.
        """
        place = sa.tuple_(events.c.xid, events.c.id)

        def at(position: Position) -> Any:
            xid, id = sa.literal(position.xid, events.c.xid.type), sa.literal(position.id, sa.BigInteger())
            return sa.tuple_(xid, id)

        return place > at(after) if end is None else sa.and_(place > at(after), place <= at(end))

    @staticmethod
    def in_log_after(xid: str, id: str) -> sa.ColumnElement[bool]:
        """The same for a position that `look_up` is given under two names."""
        after = (
            sa.bindparam(xid, None, type_=events.c.xid.type),
            sa.bindparam(id, None, type_=sa.BigInteger()),
        )
        return sa.tuple_(events.c.xid, events.c.id) > sa.tuple_(*after)

    @abstractmethod
    def among(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Whether a column has one of the values, which are a single parameter."""

    @staticmethod
    @abstractmethod
    def among_array(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
        """Whether a column has one of the values of the array that `look_up` is given under a name."""

    @staticmethod
    def among_few(column: sa.ColumnElement[Any], found: sa.Select[Any]) -> sa.ColumnElement[bool]:
        """Whether a column has one of the few values that a query finds."""
        return column.in_(found)

    @abstractmethod
    async def look_up(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any], values: Mapping[str, Any]
    ) -> Sequence[Any]:
        """The rows of a statement that is built once and takes values by name. The dialect remembers it by
        its identity. Raises StorageUnavailable."""

    @abstractmethod
    async def read_list(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any], values: Mapping[str, Any]
    ) -> Sequence[Any]:
        """All rows of such a statement that may take long: it does not hold up look-ups."""

    @abstractmethod
    def marks(self, marks: Mapping[str, int]) -> sa.FromClause:
        """A relation (job_id, after) to join, in at most two parameters for any number of marks."""

    @staticmethod
    @abstractmethod
    def pairs(name: str) -> sa.FromClause:
        """A relation (one, other) of the pairs that `look_up` is given under a name."""

    @staticmethod
    @abstractmethod
    def give_pairs(name: str, pairs: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
        """The values for `look_up` of these pairs."""

    @classmethod
    @abstractmethod
    def firsts(
        cls,
        name: str,
        first: Callable[[sa.ColumnElement[Any], sa.ColumnElement[Any]], sa.Select[Any]],
    ) -> sa.FromClause:
        """The union of what `first` selects for each of the named pairs, passed to it as two columns."""

    def wakeups(self) -> Wakeups:
        """The channel between replicas; it does nothing where only one replica can run."""
        return NoWakeups()

    def check_history(self, connection: sa.Connection) -> str:
        """A message that says why the log cannot be read in order; empty if it can."""
        return ""

    async def holder(self) -> Holder | None:
        """The transaction that holds back the feed; None if unknown."""
        return None

    @staticmethod
    @abstractmethod
    def has_labels(column: sa.ColumnElement[Any], asked: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Whether the JSON object has one of the texts under each key of `asked` (`give_labels`)."""

    @staticmethod
    @abstractmethod
    def texts(values: Sequence[str]) -> sa.ColumnElement[Any]:
        """A list for `has_any`, which is a single parameter."""

    @staticmethod
    @abstractmethod
    def named_texts(name: str) -> sa.ColumnElement[Any]:
        """The list that a statement is given under a name, for `has_any`."""

    @staticmethod
    @abstractmethod
    def has_any(
        column: sa.ColumnElement[Any], key: str, texts: sa.ColumnElement[Any]
    ) -> sa.ColumnElement[bool]:
        """Whether the JSON array under `key` has one of the texts."""

    @classmethod
    def is_for(
        cls,
        audience: sa.ColumnElement[Any],
        users: sa.ColumnElement[Any],
        groups: sa.ColumnElement[Any],
    ) -> sa.ColumnElement[bool]:
        """Whether a person with one of these names and groups, which are lists of texts, may see a prompt by
        its audience (`documents.audience_to_json`)."""
        named = cls.has_any(audience, "users", users), cls.has_any(audience, "groups", groups)
        hidden = sa.and_(cls.has_flag(audience, "hide"), cls.is_excluded(audience, users, groups))
        gone = cls.has_any(audience, "gone", users)
        some = sa.and_(sa.or_(cls.has_flag(audience, "everyone"), *named), sa.not_(sa.or_(hidden, gone)))
        return sa.or_(audience.is_(None), some)

    @classmethod
    def is_excluded(
        cls,
        audience: sa.ColumnElement[Any],
        users: sa.ColumnElement[Any],
        groups: sa.ColumnElement[Any],
    ) -> sa.ColumnElement[bool]:
        """Whether such a person may not answer the prompt."""
        return sa.or_(cls.has_any(audience, "no_users", users), cls.has_any(audience, "no_groups", groups))

    @staticmethod
    @abstractmethod
    def has_flag(column: sa.ColumnElement[Any], key: str) -> sa.ColumnElement[bool]:
        """Whether the JSON object has true under `key`."""

    @staticmethod
    def octets(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """The size of a document in bytes; NULL without a document."""
        return sa.func.octet_length(sa.cast(column, sa.Text))

    def last_to_drop(self, before: datetime, limit: int) -> sa.Select[Any]:
        """Select the position of the last event that `drop_events` drops at most; nothing if none is old.
        With partitions by day, only old ones are read."""
        newest = events.c.xid.desc(), events.c.id.desc()
        return sa.select(events.c.xid, events.c.id).where(events.c.at < before).order_by(*newest).limit(1)

    @abstractmethod
    async def drop_events(self, before: datetime, last: Position) -> int:
        """Drop the oldest day of events that ended before a time, or the events up to `last`. Returns how
        many days or rows."""

    @abstractmethod
    async def make_room(self) -> None:
        """Create the partitions of the coming days, where the database has partitions."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""


def give_labels(labels: Mapping[str, Sequence[str]]) -> str:
    """Texts by key, as `Dialect.has_labels` takes them."""
    return json.dumps({name: list(values) for name, values in labels.items()})
