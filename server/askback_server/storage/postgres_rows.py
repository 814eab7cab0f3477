"""The rows of a batch as parameters on PostgreSQL: one array of composite values for each part.

The composite types are temporary: the connection that writes creates its own, with the columns that this
version of the program writes (docs/adr/0055-rows-are-arrays-of-temporary-types.md).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.batch import LOSER_COLUMNS, PARTS, RULE_USES
from askback_server.storage.rule_tables import rule_uses
from askback_server.storage.tables import (
    answers,
    carried_answers,
    checkpoints,
    events,
    jobs,
    prompts,
    understandings,
)

NEEDS_TEMPORARY = "the role needs TEMPORARY on the database: GRANT TEMPORARY ON DATABASE ..."
"""Why no type can be created, and what to do."""
LOSERS = "losers"
"""The part that asks why the guards of some jobs failed."""
_GUARD_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "expected": sa.BigInteger(),
    "guard_session": pg.UUID(as_uuid=False),
    "guard_epoch": sa.BigInteger(),
    "not_before": pg.TIMESTAMP(timezone=True),
    "not_after": pg.TIMESTAMP(timezone=True),
    "deleted": sa.Boolean(),
    "in_steps": sa.Boolean(),
    "source_id": pg.UUID(as_uuid=False),
    "set_version": sa.BigInteger(),
    "author_version": pg.TIMESTAMP(timezone=True),
}
"""Types of the columns that are not stored."""
TABLES = {
    "changed_jobs": jobs,
    "new_jobs": jobs,
    "new_prompts": prompts,
    "changed_prompts": prompts,
    "amended_prompts": prompts,
    "answers": answers,
    "checkpoints": checkpoints,
    "carried_answers": carried_answers,
    "carried_checkpoints": checkpoints,
    "understandings": understandings,
    "events": events,
    RULE_USES: rule_uses,
    LOSERS: jobs,
}
"""The table of each part."""
_COLUMNS = {**PARTS, LOSERS: LOSER_COLUMNS}


class _Rows(sa.types.UserDefinedType[Any]):
    """An array of the composite type of a part. The driver takes a list of tuples."""

    cache_ok = True

    def __init__(self, part: str) -> None:
        self.part = part

    def get_col_spec(self, **_: Any) -> str:
        """The name of the type in a cast."""
        return f"pg_temp.askback_{self.part}[]"


class Incoming:
    """The rows of a part as a relation: one parameter to encode, and one function to run, where an array for
    each column would need one for each."""

    def __init__(self, part: str) -> None:
        columns = [sa.column(name, _type(part, name)) for name in _COLUMNS[part]]
        rows = sa.cast(sa.bindparam(part), _Rows(part))
        self.table: Any = sa.func.unnest(rows).table_valued(*columns, name=part).render_derived()
        self.c: dict[str, Any] = {name: self.table.c[name] for name in _COLUMNS[part]}


@cache
def _create_type(part: str) -> str:
    columns = ", ".join(_declare(part, name) for name in _COLUMNS[part])
    name = f"pg_temp.askback_{part}"
    # A pooler that does not reset its connections lends one with the types of another client.
    return f"DROP TYPE IF EXISTS {name}; CREATE TYPE {name} AS ({columns})"


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Times(dict[datetime, tuple[int]]):
    """The times of one write as the driver takes them, each converted once: the rows have few different ones.

    The driver's own conversion takes longer than that of all other columns of a small row.
    """

    def __missing__(self, value: datetime) -> tuple[int]:
        """Convert another time: to microseconds since PostgreSQL's epoch."""
        found = self[value] = ((value - _EPOCH) // _MICROSECOND,)
        return found


class RowTypes:
    """The types that a connection has. Each is created when a statement first needs it: most replicas never
    write rows of some parts, and a type costs the database a millisecond of CPU."""

    def __init__(self) -> None:
        self._created: set[str] = set()

    def clear(self) -> None:
        """Forget all types: the connection is a new one."""
        self._created.clear()

    async def create(self, connection: asyncpg.Connection[asyncpg.Record], parts: Collection[str]) -> None:
        """Create the types of those parts that the connection does not have.

        Raises StorageUnavailable without the privilege, and the errors of asyncpg.
        """
        if missing := [part for part in parts if part not in self._created]:
            try:
                await connection.execute(";".join(map(_create_type, missing)))
            except asyncpg.InsufficientPrivilegeError as error:
                raise StorageUnavailable(NEEDS_TEMPORARY) from error
            self._created.update(missing)


async def convert_times(connection: asyncpg.Connection[asyncpg.Record], times: Times) -> None:
    """Let a connection convert times by `times`."""
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        format="tuple",
        encoder=times.__getitem__,
        decoder=lambda value: _EPOCH + value[0] * _MICROSECOND,
    )


def _declare(part: str, name: str) -> str:
    return f"{name} {_type(part, name).compile(dialect=pg.dialect())}"  # type: ignore[no-untyped-call]


def _type(part: str, name: str) -> sa.types.TypeEngine[Any]:
    return _GUARD_TYPES[name] if name in _GUARD_TYPES else TABLES[part].c[name].type
