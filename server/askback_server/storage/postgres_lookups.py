"""Statements that are built once, run by the driver itself.

SQLAlchemy takes four times the CPU of the driver for a statement of this kind, and such statements run with
every batch and every announced change. Here each is compiled once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.dialect import Dialect, T
from askback_server.storage.outages import BROKEN, connection_of, first_line, is_outage
from askback_server.storage.postgres_pools import PinnedDrivers

Statement = sa.Select[Any] | sa.CompoundSelect[Any]


class PostgresLookups(Dialect):
    """The part of the dialect that runs such statements."""

    _pinned_reads: PinnedDrivers
    _pinned_lists: PinnedDrivers

    def connections(self) -> Mapping[str, int]:
        """As in the base; those that wait for their next use are lent by the pool, and idle."""
        found, waiting = super().connections(), self._pinned_reads.idle + self._pinned_lists.idle
        return {"in_use": found["in_use"] - waiting, "idle": found["idle"] + waiting}

    @staticmethod
    def among_array(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
        """`= ANY` of a named array."""
        return column == sa.any_(sa.bindparam(name, None, type_=pg.ARRAY(column.type)))

    @staticmethod
    def among_few(column: sa.ColumnElement[Any], found: sa.Select[Any]) -> sa.ColumnElement[bool]:
        """`= ANY` of an array: for `IN` of a query the planner may join by reading a whole table."""
        return column == sa.any_(sa.func.array(found.scalar_subquery()))

    @staticmethod
    def time(name: str) -> sa.ColumnElement[datetime]:
        """`clock_timestamp()` plus a parameter."""
        ahead = sa.bindparam(name, None, type_=pg.INTERVAL())
        return sa.func.clock_timestamp(type_=sa.DateTime(timezone=True)) + ahead

    def give_time(self, name: str, ahead: timedelta = timedelta(0)) -> Mapping[str, Any]:
        """`ahead`: the server adds its clock."""
        return {name: ahead}

    async def look_up(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
        """On a pinned connection."""
        return await _fetch(self._pinned_reads, statement, values)

    async def read_list(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any], values: Mapping[str, Any]
    ) -> Sequence[Any]:
        """On a connection that is kept for lists."""
        return await _fetch(self._pinned_lists, statement, values)

    async def read_snapshot(self, work: Callable[[sa.Connection], T]) -> T:
        """A transaction of the isolation level REPEATABLE READ."""
        async with connection_of(self.reads) as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            return await connection.run_sync(work)


async def _fetch(pinned: PinnedDrivers, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of a statement. Raises StorageUnavailable."""
    sql, parameters = compile_lookup(statement)
    given, is_connected = [values.get(name, constant) for name, constant in parameters], False
    # Outside of the connection's context, which must see that a statement has timed out.
    try:
        async with pinned.one() as driver:
            is_connected = True
            found: Sequence[Any] = await driver.fetch(sql, *given)
            return found
    except BROKEN as error:
        if not is_connected:
            raise StorageUnavailable(f"cannot reach the database: {first_line(error)}") from error
        if not is_outage(error):
            raise
        raise StorageUnavailable(f"the database does not answer: {first_line(error)}") from error


@lru_cache(maxsize=256)
def compile_lookup(statement: Statement) -> tuple[str, list[tuple[str, Any]]]:
    """The text of a statement, and its parameters in order, each with its value if that is constant."""
    # The driver has a type of its own for ids.
    if isinstance(statement, sa.Select):
        selected = statement.with_only_columns(*map(_as_text, statement.selected_columns))
    else:
        selected = sa.select(*map(_as_text, statement.subquery().c))
    compiled = selected.compile(
        dialect=asyncpg_dialect(),  # type: ignore[no-untyped-call]
        compile_kwargs={"render_postcompile": True},
    )
    return str(compiled), [(name, compiled.params[name]) for name in compiled.positiontup or ()]


def _as_text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(column, sa.Text).label(column.name) if isinstance(column.type, sa.Uuid) else column
