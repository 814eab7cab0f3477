"""Lists as one parameter on SQLite: a JSON text that `json_each` expands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from askback_server.storage.tables import jobs, prompts


def _json(value: Any) -> sa.ColumnElement[Any]:
    """A value as one parameter, its JSON text."""
    return sa.literal(json.dumps(value), sa.Text())


def _elements(values: Sequence[Any]) -> sa.TableValuedAlias:
    """A relation of the values."""
    return sa.func.json_each(_json(list(values))).table_valued("value")


def among(column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Whether the column has one of the values."""
    return column.in_(sa.select(_elements(values).c.value))


def among_array(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    """Whether the column has one of the values of a named parameter, the JSON text of an array."""
    values = sa.func.json_each(sa.bindparam(name, None, type_=sa.Text())).table_valued("value")
    return column.in_(sa.select(values.c.value))


def marks(marks: Mapping[str, int]) -> sa.FromClause:
    """A relation (job_id, after)."""
    each = sa.func.json_each(_json(dict(marks))).table_valued(
        sa.column("key", sa.String()), sa.column("value", sa.BigInteger())
    )
    return sa.select(each.c.key.label("job_id"), each.c.value.label("after")).subquery("marks")


def pairs(name: str) -> sa.FromClause:
    """A relation (one, other) of a named parameter, the JSON text of an array of pairs."""
    each = sa.func.json_each(sa.bindparam(name, None, type_=sa.Text())).table_valued("value")
    one, other = (sa.func.json_extract(each.c.value, f"$[{n}]", type_=sa.Text()) for n in (0, 1))
    return sa.select(one.label("one"), other.label("other")).subquery("each")


def give_pairs(name: str, pairs: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
    """The value of `pairs`."""
    return {name: pairs}


def firsts(
    name: str, first: Callable[[sa.ColumnElement[Any], sa.ColumnElement[Any]], sa.Select[Any]]
) -> sa.FromClause:
    """The rows of `jobs` that `first` selects for each of the pairs."""
    each = pairs(name)
    found = first(each.c.one, each.c.other).correlate(each).subquery()
    [key] = [column for column in found.c if column.name == "job_id"]
    ids = sa.select(sa.func.json_group_array(key)).scalar_subquery()
    by_value = sa.select(ids.label("ids")).select_from(each).subquery()
    id = sa.func.json_each(by_value.c.ids).table_valued("value")
    columns = [jobs.c[column.name] for column in found.c]
    return (
        sa.select(*columns)
        .select_from(by_value.join(id, sa.true()).join(jobs, jobs.c.job_id == id.c.value))
        .subquery()
    )


def has_labels(column: sa.ColumnElement[Any], asked: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether the object has one of the texts under each key. Not by JSON paths: they cannot express keys
    with quotes or backslashes."""
    one = sa.literal(1)
    wanted = sa.func.json_each(asked).table_valued("key", "value")
    each = sa.func.json_each(column).table_valued("key", "value")
    values = sa.func.json_each(wanted.c.value).table_valued("value")
    fits = each.c.value.in_(sa.select(values.c.value).correlate(wanted))
    same = sa.and_(each.c.key == wanted.c.key, fits)
    found = sa.exists(sa.select(one).select_from(each).where(same).correlate(wanted, jobs, prompts))
    missing = sa.select(one).select_from(wanted).where(sa.not_(found)).correlate(jobs, prompts)
    return sa.not_(sa.exists(missing))


def texts(values: Sequence[str]) -> sa.ColumnElement[Any]:
    """The JSON text of an array."""
    return _json(list(values))


def named_texts(name: str) -> sa.ColumnElement[Any]:
    """The same as a named parameter."""
    return sa.bindparam(name, None, type_=sa.Text())


def has_any(column: sa.ColumnElement[Any], key: str, texts: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether the array under a key contains one of the texts."""
    each = sa.func.json_each(column, f"$.{key}").table_valued("value")
    wanted = sa.func.json_each(texts).table_valued("value")
    named = sa.select(sa.literal(1)).select_from(each).where(each.c.value.in_(sa.select(wanted.c.value)))
    return sa.exists(named)


def has_flag(column: sa.ColumnElement[Any], key: str) -> sa.ColumnElement[bool]:
    """Whether the object has true under a key."""
    found: sa.ColumnElement[int] = sa.func.json_extract(column, f"$.{key}", type_=sa.Integer())
    return sa.func.coalesce(found == 1, sa.false())


def octets(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """The size of a text in bytes. `octet_length` needs SQLite 3.43."""
    return sa.func.length(sa.cast(column, sa.LargeBinary))
