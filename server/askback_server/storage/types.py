"""Column types that mean the same on both databases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from askback_server.domain.instants import iso_text


class InstantTexts(dict[datetime, str]):
    """The texts of times by `iso_text`, each made once. For one write, whose rows have few times."""

    def __missing__(self, value: datetime) -> str:
        """Format another time."""
        text = self[value] = iso_text(value)
        return text


class Instant(TypeDecorator[datetime]):
    """A point in time: `timestamptz`, or sortable ISO text on SQLite, which has no time zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`timestamptz`, or a text on SQLite."""
        own = sa.DateTime(timezone=True) if dialect.name == "postgresql" else sa.String(32)
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """A text for SQLite."""
        if value is None or dialect.name == "postgresql":
            return value
        return iso_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """A datetime from a text of SQLite."""
        if value is None or isinstance(value, datetime):
            return value
        return datetime.fromisoformat(value)


Id = sa.Uuid(as_uuid=False).with_variant(sa.String(36), "sqlite")
"""A UUIDv7 as text; on SQLite with hyphens, so that an administrator can search for an id from a log."""

# On SQLite a column declared JSON would have NUMERIC affinity, and turn the document 1e2 into 100.


def keep_text(text: Any) -> Any:
    """The JSON serializer and deserializer of our engines: documents are texts on both sides, so that the
    database stores exactly what was written."""
    return text


JsonText = sa.JSON(none_as_null=True).with_variant(sa.Text(), "sqlite")
"""A document whose text must not change: PostgreSQL's `json` keeps the order of keys and 64-bit integers."""

JsonB = (
    sa.JSON(none_as_null=True)
    .with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
    .with_variant(sa.Text(), "sqlite")
)
"""A document to filter by. PostgreSQL's JSONB does not keep the order of keys."""


class _Xid8(sa.types.UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id; the driver gives and takes an int."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name of the type in DDL."""
        return "xid8"


Xid = sa.BigInteger().with_variant(_Xid8(), "postgresql")
"""The id of the writing transaction, which orders the feed; always 0 on SQLite, which has one writer."""
