"""Read only the rows that fit into a page, so that larger results never come into memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from askback_server.domain.sizes import fit_bytes
from askback_server.storage.dialect import Dialect
from askback_server.storage.reader import Reader

Documents = Sequence[sa.Column[Any]]
"""The columns that make up the size of a row."""


class Paging(Reader):
    """The part of the JobStore that reads pages of bounded size."""

    async def _fitting_ids(
        self, key: sa.Column[Any], ids: Sequence[str], documents: Documents, max_bytes: int
    ) -> int:
        found = await self._look_up(_sizes(type(self._dialect), key, tuple(documents)), ids=ids)
        by_id = {row["id"]: row for row in found}
        nothing = {"size": 0}
        return len(fit_bytes([by_id.get(i, nothing) for i in ids], _row_size, max_bytes, at_least=1))

    async def _page_ids(
        self,
        key: str,
        spans: Sequence[Callable[[int], Awaitable[Sequence[Any]]]],
        limit: int,
        max_bytes: int,
    ) -> tuple[list[str], Any]:
        """The keys of the first rows: at most `limit`, and about `max_bytes` in all, but at least one. Also
        the last row if there are more.

        `spans` read a number of rows of statements whose rows follow each other. They are read until the
        page is full. An index can start at the beginning of a span, but not at a place in an order of several
        columns. The rows have a key and a size.

        Only sizes are read, so that rows which do not fit never come into memory. Read the rows by their
        keys, and check them again: they may have changed in between. (With the conditions in that statement
        as well, the planner may choose their index instead of the keys, and read all rows of the list.)
        """
        found: list[Any] = []
        for read in spans:
            found += await read(limit + 1 - len(found))
            if len(found) > limit:
                break
        fitting = fit_bytes(found[:limit], _row_size, max_bytes, at_least=1)
        last = fitting[-1] if len(fitting) < len(found) else None
        return [row[key] for row in fitting], last


@cache
def _sizes(kind: type[Dialect], key: sa.Column[Any], documents: tuple[sa.Column[Any], ...]) -> sa.Select[Any]:
    return sa.select(key.label("id"), size_of(kind, documents)).where(kind.among_array(key, "ids"))


def size_of(kind: type[Dialect], documents: Documents) -> sa.ColumnElement[int]:
    """The size of a row's documents in bytes, as the column `size`."""
    sizes = [sa.func.coalesce(kind.octets(column), 0) for column in documents]
    return sum(sizes[1:], sizes[0]).label("size")


def _row_size(row: Any) -> int:
    """The size of a row: its documents, and about 500 bytes for the other columns."""
    size: int = row["size"]
    return 500 + size
