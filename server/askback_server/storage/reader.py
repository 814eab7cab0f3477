"""The base of the repositories: run a read on the pool, and retry it once if the connection was lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.dialect import Dialect
from askback_server.storage.outages import connection_of
from askback_server.storage.types import Instant

Statement = sa.Select[Any] | sa.CompoundSelect[Any]
_Run = Callable[[Statement, Mapping[str, Any]], Awaitable[Sequence[Any]]]

MOST = sa.bindparam("most", None, type_=sa.BigInteger())
"""A limit that a look-up or a list is given by name."""

_WAITED = (TimeoutError, sa.exc.TimeoutError)
"""Not retried: the caller has already waited for a connection of the pool."""


def may_read_again(error: StorageUnavailable) -> bool:
    """Whether a read that failed so may be repeated: on another connection it may succeed."""
    return not isinstance(error.__cause__, _WAITED)


class Reader:
    """Reads without locks and transactions, on the dialect's pool."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    async def _all(self, statement: Statement) -> Sequence[Any]:
        """All rows of a statement, as mappings by column name. Raises StorageUnavailable."""
        return await self._read(self._run_in_pool, statement, {})

    async def _look_up(self, statement: Statement, **values: Any) -> Sequence[Any]:
        """All rows of a statement that is built once and takes its values by name. Raises StorageUnavailable.

        It takes a quarter of the CPU or less of one that is built for each call.
        """
        return await self._read(self._dialect.look_up, statement, values)

    async def _list(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
        """All rows of such a statement that may take long: it does not hold up look-ups."""
        return await self._read(self._dialect.read_list, statement, values)

    async def _read(self, run: _Run, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
        """Read, and read again if the database did not answer: it may have closed an idle connection."""
        try:
            return await run(statement, values)
        except StorageUnavailable as error:
            if not may_read_again(error):
                raise
        return await run(statement, values)

    async def _run_in_pool(self, statement: Statement, _: Mapping[str, Any]) -> Sequence[Any]:
        async with connection_of(self._dialect.reads) as connection:
            found: Sequence[Any] = (await connection.execute(statement)).mappings().all()
            return found

    async def now(self) -> datetime:
        """The database's time. Raises StorageUnavailable."""
        found = await self._look_up(_clock(type(self._dialect)), **self._dialect.give_time("now"))
        now: datetime = found[0]["now"]
        return now


def named(name: str, column: sa.ColumnElement[Any]) -> sa.BindParameter[Any]:
    """A value of a column's type, which a statement is given under a name."""
    return sa.bindparam(name, None, type_=column.type)


@cache
def _clock(kind: type[Dialect]) -> sa.Select[Any]:
    return sa.select(sa.type_coerce(kind.time("now"), Instant()).label("now"))
