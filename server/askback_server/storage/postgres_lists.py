"""Conditions on JSON columns of PostgreSQL. Their text does not depend on the number of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from askback_server.storage.tables import jobs, prompts


def marks(marks: Mapping[str, int]) -> sa.FromClause:
    """A relation (job_id, after): two arrays, by `unnest`."""
    ids = sa.literal(list(marks), pg.ARRAY(pg.UUID(as_uuid=False)))
    afters = sa.literal(list(marks.values()), pg.ARRAY(sa.BigInteger()))
    columns = sa.column("job_id", pg.UUID(as_uuid=False)), sa.column("after", sa.BigInteger())
    return sa.func.unnest(ids, afters).table_valued(*columns, name="marks").render_derived()


def pairs(name: str) -> sa.TableValuedAlias:
    """A relation (one, other): two named arrays, by `unnest`."""
    columns = sa.column("one", sa.Text), sa.column("other", sa.Text)
    arrays = [sa.bindparam(f"{name}_{c.name}", None, type_=pg.ARRAY(sa.Text)) for c in columns]
    return sa.func.unnest(*arrays).table_valued(*columns).render_derived("each")


def give_pairs(name: str, pairs: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
    """The values of `pairs`."""
    return {f"{name}_one": [one for one, _ in pairs], f"{name}_other": [other for _, other in pairs]}


def has_labels(column: sa.ColumnElement[Any], asked: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether the JSON object has one of the texts under each key, by `@>`."""
    wanted = sa.func.jsonb_each(asked).table_valued(
        sa.column("key", sa.Text), sa.column("value", pg.JSONB()), name="wanted"
    )
    text = sa.type_coerce(column, pg.JSONB()).op("->")(wanted.c.key)
    there = sa.func.coalesce(wanted.c.value.bool_op("@>")(text), sa.false())
    missing = sa.select(sa.literal(1)).select_from(wanted).where(sa.not_(there)).correlate(jobs, prompts)
    return sa.not_(sa.exists(missing))


def texts(values: Sequence[str]) -> sa.ColumnElement[Any]:
    """A parameter that is an array."""
    return sa.literal(list(values), pg.ARRAY(sa.Text))


def named_texts(name: str) -> sa.ColumnElement[Any]:
    """A named array."""
    return sa.bindparam(name, None, type_=pg.ARRAY(sa.Text))


def has_any(column: sa.ColumnElement[Any], key: str, texts: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether the JSON array under a key contains one of the texts, by `?|`."""
    array = sa.func.jsonb_extract_path(column, key, type_=pg.JSONB())
    return sa.func.coalesce(array.op("?|")(texts), sa.false())


def has_flag(column: sa.ColumnElement[Any], key: str) -> sa.ColumnElement[bool]:
    """Whether the JSON object has true under a key."""
    found = sa.func.jsonb_extract_path_text(column, key, type_=sa.Text())
    return sa.func.coalesce(found == sa.literal_column("'true'"), sa.false())
