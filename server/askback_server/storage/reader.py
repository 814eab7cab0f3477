"""The base of the repositories: run a read on the pool, and retry it once if the connection was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.dialect import Dialect
from askback_server.storage.outages import connection_of

_WAITED = (TimeoutError, sa.exc.TimeoutError)
"""Not retried: the caller has already waited for a connection of the pool."""


class Reader:
    """Reads without locks and transactions, on the dialect's pool."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    async def _all(self, statement: sa.Select[Any] | sa.CompoundSelect[Any], **values: Any) -> Sequence[Any]:
        """All rows of a statement, as mappings by column name. Raises StorageUnavailable.

        A statement that takes `values` by name is built once (`Dialect.look_up`).
        """
        try:
            return await self._once(statement, values)
        except StorageUnavailable as error:
            if isinstance(error.__cause__, _WAITED):
                raise
        # An idle connection of the pool may have been closed by the server; a read can be repeated.
        return await self._once(statement, values)

    async def _once(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any], values: Mapping[str, Any]
    ) -> Sequence[Any]:
        if values:
            return await self._dialect.look_up(statement, values)
        async with connection_of(self._dialect.reads) as connection:
            found: Sequence[Any] = (await connection.execute(statement)).mappings().all()
            return found

    async def _list(self, statement: sa.Select[Any], values: Mapping[str, Any]) -> Sequence[Any]:
        """The same for a statement of a list, which may take long."""
        try:
            return await self._dialect.read_list(statement, values)
        except StorageUnavailable as error:
            if isinstance(error.__cause__, _WAITED):
                raise
        return await self._dialect.read_list(statement, values)

    async def now(self) -> datetime:
        """The database's time. Raises StorageUnavailable."""
        found = await self._all(sa.select(self._dialect.now().label("now")))
        now: datetime = found[0]["now"]
        return now
