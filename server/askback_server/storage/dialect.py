"""The one place where the databases differ: two subclasses, chosen by the URL.

A dialect opens the engine for reads, owns the one writer, and says how a few statements are put
and which errors mean what. A list of any length is one parameter: the text of a statement never grows
with what a caller sends, so it is compiled once and planned once. Everything else is one set of tables
and Core statements.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.ports.storage import Holder
from askback_server.ports.wakeups import NoWakeups, Wakeups
from askback_server.storage.batch import Batch, BatchOutcome


class Dialect(ABC):
    """What a database must do for us."""

    name: str
    reads: AsyncEngine
    """For statements that change nothing."""

    @abstractmethod
    async def open(self) -> None:
        """Connect the writer. Raises StorageUnavailable."""

    @abstractmethod
    async def write(self, batch: Batch) -> BatchOutcome:
        """Write a batch durably. Raises UnknownOutcome, BadData, StorageUnavailable."""

    @abstractmethod
    async def run(self, work: Callable[[sa.Connection], Any]) -> Any:
        """Run a small transaction of session rows or settings, off the batches' way."""

    @abstractmethod
    def now(self) -> sa.ColumnElement[datetime]:
        """The database's clock in a statement, not that of the transaction's start."""

    @abstractmethod
    def later(self, seconds: float) -> sa.ColumnElement[datetime]:
        """The database's clock and so many seconds."""

    @abstractmethod
    def settled(self, xid: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Events below which nothing can appear any more."""

    @abstractmethod
    def among(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Whether a column has one of the values; they are one parameter, however many they are."""

    @abstractmethod
    def marks(self, marks: Mapping[str, int]) -> sa.FromClause:
        """A relation (job_id, after) to join; one or two parameters, however many marks there are."""

    @abstractmethod
    def firsts(
        self, values: Sequence[str], first: Callable[[sa.ColumnElement[Any]], sa.Select[Any]]
    ) -> sa.FromClause:
        """What `first` selects for each of the values. It takes the value as a column of a relation."""

    def wakeups(self) -> Wakeups:
        """How replicas call each other; not at all where there is one."""
        return NoWakeups()

    def check_history(self, connection: sa.Connection) -> str:
        """What keeps the log from being read in order, for people; empty if nothing does."""
        return ""

    async def holder(self) -> Holder | None:
        """Whose transaction holds the feed back; None if that is not known."""
        return None

    def labelled(
        self, column: sa.ColumnElement[Any], filter: JobFilter | PromptFilter
    ) -> list[sa.ColumnElement[bool]]:
        """The conditions of a filter on a column of labels."""
        each = {name: (value,) for name, value in filter.labels.items()}
        return [self.has_labels(column, wanted) for wanted in (each, filter.any_labels) if wanted]

    @abstractmethod
    def has_labels(
        self, column: sa.ColumnElement[Any], labels: Mapping[str, Sequence[str]]
    ) -> sa.ColumnElement[bool]:
        """Whether the JSON object has one of these texts under each of these keys."""

    @abstractmethod
    def has_any(
        self, column: sa.ColumnElement[Any], key: str, values: Sequence[str]
    ) -> sa.ColumnElement[bool]:
        """Whether the JSON array under `key` names one of the values."""

    def octets(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """How many bytes a document takes; NULL of none."""
        return sa.func.octet_length(sa.cast(column, sa.Text))

    @abstractmethod
    async def drop_events(self, before: datetime) -> int:
        """Drop events of whole days that ended before a time."""

    @abstractmethod
    async def make_room(self) -> None:
        """Prepare the days ahead."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""
