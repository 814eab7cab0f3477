"""Read only the rows that fit into a page, so that larger results never come into memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from askback_server.domain.sizes import fit_bytes
from askback_server.storage.reader import Reader

Documents = Sequence[sa.Column[Any]]
"""The columns that make up the size of a row."""


class Paging(Reader):
    """The part of the JobStore that reads pages of bounded size."""

    async def _fitting_ids(
        self, key: sa.Column[Any], ids: Sequence[str], documents: Documents, max_bytes: int
    ) -> int:
        sizes = sa.select(key.label("id"), self._size(documents)).where(self._dialect.among(key, ids))
        by_id = {row["id"]: row for row in await self._all(sizes)}
        nothing = {"size": 0}
        return len(fit_bytes([by_id.get(i, nothing) for i in ids], _row_size, max_bytes, at_least=1))

    async def _page(
        self,
        cursor: Sequence[sa.Column[Any]],
        statement: sa.Select[Any],
        documents: Documents,
        limit: int,
        max_bytes: int,
    ) -> tuple[Sequence[Any], Any]:
        """The first rows of a statement with all their columns: at most `limit`, and about `max_bytes` in
        all, but at least one. Also the `cursor` columns of the last row if there are more rows; the first of
        them is the key.

        The sizes are read first, so that rows which do not fit never come into memory.
        """
        key = cursor[0]
        sizes = statement.with_only_columns(*cursor, self._size(documents)).limit(limit + 1)
        found = await self._all(sizes)
        kept = fit_bytes(found[:limit], _row_size, max_bytes, at_least=1)
        if not kept:
            return (), None
        # With the conditions again: a row that changed in between may no longer match.
        ids = [row[key.name] for row in kept]
        page = await self._all(statement.where(self._dialect.among(key, ids)))
        return page, kept[-1] if len(kept) < len(found) else None

    def _size(self, documents: Documents) -> sa.ColumnElement[int]:
        """The size of a row's documents in bytes, as the column `size`."""
        sizes = [sa.func.coalesce(self._dialect.octets(column), 0) for column in documents]
        return sum(sizes[1:], sizes[0]).label("size")


def _row_size(row: Any) -> int:
    """The size of a row: its documents, and about 500 bytes for the other columns."""
    size: int = row["size"]
    return 500 + size
