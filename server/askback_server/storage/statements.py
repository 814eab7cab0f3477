"""Running a read on the pool, once more if a connection had died."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.dialect import Dialect
from askback_server.storage.outages import connected

_WAITED = (TimeoutError, sa.exc.TimeoutError)
"""Who has waited in vain does not wait again."""


class Statements:
    """Set-based reads on the pool."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    async def _all(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[Any]:
        try:
            return await self._once(statement)
        except StorageUnavailable as error:
            if isinstance(error.__cause__, _WAITED):
                raise
        # A connection of the pool may have died while nobody used it; reading again harms nobody.
        return await self._once(statement)

    async def _once(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[Any]:
        async with connected(self._dialect.reads) as connection:
            found: Sequence[Any] = (await connection.execute(statement)).mappings().all()
            return found
