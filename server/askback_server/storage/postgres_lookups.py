"""Statements that only take arrays, run by the driver itself.

SQLAlchemy takes four times the CPU of the driver for a statement of this kind, and such statements run with
every batch and every announced change. Here each is compiled once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.ext.asyncio import AsyncEngine

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.outages import BROKEN, first_line, is_outage
from askback_server.storage.postgres_pools import driver_of

Statement = sa.Select[Any] | sa.CompoundSelect[Any]


class PostgresLookups:
    """The part of the dialect that runs such statements."""

    reads: AsyncEngine
    _compiled: dict[Statement, tuple[str, list[str]]]
    """The text of each statement, and the names of its parameters in order."""

    def among_array(self, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
        """`= ANY` of a named array."""
        return column == sa.any_(sa.bindparam(name, type_=pg.ARRAY(column.type)))

    async def look_up(self, statement: Statement, arrays: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
        """The rows of a statement. Raises StorageUnavailable."""
        known = self._compiled.get(statement)
        if known is None:
            known = self._compiled[statement] = _compile(statement)
        sql, names = known
        try:
            async with driver_of(self.reads) as driver:
                found: Sequence[Any] = await driver.fetch(sql, *(arrays[name] for name in names))
                return found
        except BROKEN as error:
            if not is_outage(error):
                raise
            raise StorageUnavailable(f"the database does not answer: {first_line(error)}") from error


def _compile(statement: Statement) -> tuple[str, list[str]]:
    rows = statement.subquery()
    columns = [sa.cast(c, sa.Text).label(c.name) if isinstance(c.type, sa.Uuid) else c for c in rows.c]
    compiled = sa.select(*columns).compile(dialect=asyncpg_dialect())  # type: ignore[no-untyped-call]
    return str(compiled), list(compiled.positiontup or ())
