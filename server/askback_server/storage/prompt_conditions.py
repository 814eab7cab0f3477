"""The conditions of lists of prompts.

A statement is built once for each set of conditions, and is given their values by name. To build it for each
console that connects would cost more than to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa

from askback_server.domain.prompts import PromptState
from askback_server.ports.queries import PromptFilter, PromptOrder
from askback_server.storage.dialect import Dialect, give_labels
from askback_server.storage.reader import named
from askback_server.storage.tables import ANSWERED_BY, HANDLE_AT, jobs, prompts
from askback_server.storage.types import Instant

GivenValues = Mapping[str, Any]
Where = Callable[[type[Dialect]], sa.ColumnElement[bool]]

_OPEN = (PromptState.PENDING,)
ID_LENGTH = 36
"""Characters of an id as text."""
_answerer: sa.ColumnElement[str] = sa.literal_column(f"({ANSWERED_BY})", sa.Text())


class Condition(NamedTuple):
    """A condition of a list."""

    values: Callable[[Dialect, PromptFilter], GivenValues | None]
    """What a filter gives the statement for it, by name. None: the filter does not have this condition."""
    where: Where


def conditions_of(dialect: Dialect, filter: PromptFilter) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The names of the conditions of a filter, for `where_all`, and the values of the statement."""
    names: list[str] = []
    values: dict[str, Any] = {}
    for name, condition in CONDITIONS.items():
        if (given := condition.values(dialect, filter)) is not None:
            names.append(name)
            values |= given
    return tuple(names), values


def where_all(kind: type[Dialect], names: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    """The conditions with these names."""
    return [CONDITIONS[name].where(kind) for name in names]


def ending(
    column: sa.Column[str], name: str, given: GivenValues = MappingProxyType({})
) -> sa.Select[tuple[str]]:
    """Select the ids, of any namespace, that end with a suffix. Its values are those of `give_suffix`:
    `given` now, or by name when the statement runs.

    A subselect: as a plain condition SQLite would use the index on namespace and order instead.
    """
    own = column.table.alias().c[column.name]
    text = sa.cast(own, sa.Text)
    # A literal, as in the index, not a parameter: the plan is made once for all values and must match the
    # index.
    last = sa.func.substr(text, sa.literal_column(str(HANDLE_AT)))
    end, whole, at = (
        sa.bindparam(f"{name}_{part}", given.get(f"{name}_{part}"), type_=type)
        for part, type in (("end", sa.Text()), ("whole", sa.Text()), ("at", sa.Integer()))
    )
    return sa.select(own).where(last == end, sa.func.substr(text, at) == whole)


def give_suffix(name: str, suffix: str) -> GivenValues:
    """The values of `ending` for a suffix of at least six characters."""
    return {f"{name}_end": suffix[-6:], f"{name}_whole": suffix, f"{name}_at": ID_LENGTH + 1 - len(suffix)}


def _states(_: Dialect, filter: PromptFilter) -> GivenValues | None:
    if not filter.states or filter.states == _OPEN:
        return None
    return {"states": [state.value for state in filter.states]}


def _closed(_: Dialect, filter: PromptFilter) -> GivenValues | None:
    # What a person answered is closed, and has an index of its own, which planners would not prefer.
    return {} if filter.order is PromptOrder.CLOSE_TIME and not filter.answered_by else None


def _person(dialect: Dialect, filter: PromptFilter) -> GivenValues | None:
    if not filter.person:
        return None
    return {"person": filter.person, "persons": [filter.person], **dialect.give_time("now")}


def _holds_or_is_named(kind: type[Dialect]) -> sa.ColumnElement[bool]:
    c = prompts.c
    holds = sa.and_(c.claimed_by == named("person", c.claimed_by), c.claimed_until > kind.time("now"))
    return sa.or_(holds, kind.has_any(c.audience, "users", kind.named_texts("persons")))


def _is_late(kind: type[Dialect]) -> sa.ColumnElement[bool]:
    # The document contains a step only after an escalation.
    escalated = sa.cast(prompts.c.nudges, sa.Text).contains('"steps":')
    late = sa.or_(escalated, prompts.c.timeout_at <= kind.time("now"))
    return sa.and_(prompts.c.responded_at.is_(None), late)


def _expires_before(_: type[Dialect]) -> sa.ColumnElement[bool]:
    """Open prompts, of any namespace, whose deadline is before a time."""
    own = prompts.alias()
    late = own.c.timeout_at < sa.bindparam("expires_before", None, type_=Instant())
    return prompts.c.interaction_id.in_(
        sa.select(own.c.interaction_id).where(late, own.c.responded_at.is_(None))
    )


def _labels(_: Dialect, filter: PromptFilter) -> GivenValues | None:
    each = {name: (value,) for name, value in filter.labels.items()}
    return {"labels": give_labels(each)} if each else None


def _any_labels(_: Dialect, filter: PromptFilter) -> GivenValues | None:
    return {"any_labels": give_labels(filter.any_labels)} if filter.any_labels else None


def _has_labels(kind: type[Dialect], name: str) -> sa.ColumnElement[bool]:
    return kind.has_labels(prompts.c.labels, named(name, prompts.c.labels))


def _viewer(_: Dialect, filter: PromptFilter) -> GivenValues | None:
    viewer = filter.viewer
    if viewer is None or viewer.is_admin:
        return None
    return {"viewer": [viewer.subject], "viewer_groups": sorted(viewer.groups)}


CONDITIONS: Mapping[str, Condition] = {
    "namespace": Condition(
        lambda _, f: None if f.is_narrow else {"namespace": f.namespace},
        lambda _: prompts.c.namespace == named("namespace", prompts.c.namespace),
    ),
    # An expression, so that no index by namespace is used: planners prefer those that have the order of the
    # list, and would read all of its rows to find few.
    "narrow": Condition(
        lambda _, f: {"namespace": f.namespace} if f.is_narrow else None,
        lambda _: prompts.c.namespace.concat("") == named("namespace", prompts.c.namespace),
    ),
    "open": Condition(
        lambda _, f: {} if f.states == _OPEN else None, lambda _: prompts.c.responded_at.is_(None)
    ),
    "states": Condition(_states, lambda kind: kind.among_array(prompts.c.status, "states")),
    "closed": Condition(_closed, lambda _: prompts.c.responded_at.is_not(None)),
    "answered_by": Condition(
        lambda _, f: {"answered_by": f.answered_by} if f.answered_by else None,
        lambda _: _answerer == named("answered_by", _answerer),
    ),
    "unattended": Condition(
        lambda _, f: {} if f.unattended else None, lambda _: prompts.c.unattended_since.is_not(None)
    ),
    "person": Condition(_person, _holds_or_is_named),
    "people": Condition(
        lambda _, f: {"people": f.people} if f.people else None,
        lambda kind: kind.has_any(prompts.c.audience, "users", kind.named_texts("people")),
    ),
    "overdue": Condition(lambda d, f: d.give_time("now") if f.overdue else None, _is_late),
    "expires_before": Condition(
        lambda _, f: None if f.expires_before is None else {"expires_before": f.expires_before},
        _expires_before,
    ),
    "id_suffix": Condition(
        lambda _, f: give_suffix("id", f.id_suffix) if f.id_suffix else None,
        lambda _: prompts.c.interaction_id.in_(ending(prompts.c.interaction_id, "id")),
    ),
    "job_id": Condition(
        lambda _, f: {"job_id": f.job_id} if f.job_id else None,
        lambda _: prompts.c.job_id == named("job_id", prompts.c.job_id),
    ),
    "job_id_suffix": Condition(
        lambda _, f: give_suffix("job_id", f.job_id_suffix) if f.job_id_suffix else None,
        lambda _: prompts.c.job_id.in_(ending(jobs.c.job_id, "job_id")),
    ),
    "job_types": Condition(
        lambda _, f: {"job_types": f.job_types} if f.job_types else None,
        lambda kind: kind.among_array(prompts.c.job_type, "job_types"),
    ),
    "kinds": Condition(
        lambda _, f: {"kinds": f.kinds} if f.kinds else None,
        lambda kind: kind.among_array(prompts.c.interaction_type, "kinds"),
    ),
    "labels": Condition(_labels, lambda kind: _has_labels(kind, "labels")),
    "any_labels": Condition(_any_labels, lambda kind: _has_labels(kind, "any_labels")),
    "groups": Condition(
        lambda _, f: {"groups": f.groups} if f.groups else None,
        lambda kind: kind.has_any(prompts.c.audience, "groups", kind.named_texts("groups")),
    ),
    "viewer": Condition(
        _viewer,
        lambda kind: kind.is_for(
            prompts.c.audience, kind.named_texts("viewer"), kind.named_texts("viewer_groups")
        ),
    ),
}
"""By name, in the order in which a statement has them."""
