"""Lists of prompts: their conditions, their orders, and their pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from askback_server.ports.queries import PromptFilter, PromptOrder, PromptPosition, PromptsPage
from askback_server.storage.aggregate_reads import AggregateReads
from askback_server.storage.dialect import Dialect
from askback_server.storage.paging import Documents, Paging
from askback_server.storage.tables import ANSWERED_BY, HANDLE_AT, NO_DEADLINE, jobs, prompts
from askback_server.storage.types import Instant

PROMPT_DOCUMENTS: Documents = (prompts.c.prompt_data, prompts.c.response_data)
"""The columns that make up the size of a row."""
_answerer: sa.ColumnElement[str] = sa.literal_column(f"({ANSWERED_BY})", sa.Text())
# A literal, as in the index, not a parameter: a plan for all values must match the index.
_no_deadline: sa.ColumnElement[datetime] = sa.literal_column(NO_DEADLINE, Instant())
_deadline = sa.func.coalesce(prompts.c.timeout_at, _no_deadline)
SEARCHED = 2_000
"""The most closed prompts that a page of a history looks at."""
URGENCY = (prompts.c.priority.desc(), _deadline, prompts.c.interaction_id)
"""The order of prompts in an inbox: priority, deadline, age."""


@dataclass(frozen=True, slots=True)
class _Order:
    """An order of prompts. `position` is the place of a row, `after` divides the rows after a place into
    statements that follow each other."""

    by: tuple[sa.ColumnElement[Any], ...]
    position: Callable[[Any], PromptPosition]
    after: Callable[[sa.Select[Any], Any], list[sa.Select[Any]]]


def _urgent_position(row: Any) -> PromptPosition:
    at = row["timeout_at"]
    return row["priority"], at.isoformat() if at else None, row["interaction_id"]


def _after_urgent(every: sa.Select[Any], position: tuple[int, str | None, str]) -> list[sa.Select[Any]]:
    """The rest of the same deadline, later deadlines, lower priorities."""
    priority, deadline, prompt_id = position
    at = _no_deadline if deadline is None else sa.literal(datetime.fromisoformat(deadline), Instant())
    _, by_deadline, by_id = URGENCY
    equal = every.where(prompts.c.priority == priority)
    same = equal.where(_deadline == at, prompts.c.interaction_id > prompt_id).order_by(by_id)
    later = equal.where(_deadline > at).order_by(by_deadline, by_id)
    lower = every.where(prompts.c.priority < priority).order_by(*URGENCY)
    return [same, lower] if deadline is None else [same, later, lower]


_end = sa.tuple_(prompts.c.responded_at, prompts.c.interaction_id)


def _end_at(position: tuple[str, str]) -> sa.ColumnElement[Any]:
    at, prompt_id = position
    return sa.tuple_(
        sa.literal(datetime.fromisoformat(at), prompts.c.responded_at.type),
        sa.literal(prompt_id, prompts.c.interaction_id.type),
    )


def _closed_position(row: Any) -> tuple[str, str]:
    return row["responded_at"].isoformat(), row["interaction_id"]


def _before_end(every: sa.Select[Any], position: Any) -> list[sa.Select[Any]]:
    return [every.where(_end < _end_at(position)).order_by(*_ORDERS[PromptOrder.CLOSE_TIME].by)]


_ORDERS = {
    PromptOrder.URGENCY: _Order(URGENCY, _urgent_position, _after_urgent),
    PromptOrder.CLOSE_TIME: _Order(
        (prompts.c.responded_at.desc(), prompts.c.interaction_id.desc()), _closed_position, _before_end
    ),
}
_PLACE = (prompts.c.interaction_id, prompts.c.priority, prompts.c.timeout_at, prompts.c.responded_at)
"""The columns that the positions are made of."""


class PromptLists(Paging, AggregateReads):
    """The part of the JobStore that lists prompts."""

    async def list_prompts(
        self, filter: PromptFilter, limit: int, after: PromptPosition | None, max_bytes: int
    ) -> PromptsPage:
        """A page of prompts in the order of the filter."""
        every = sa.select(prompts).where(*prompt_conditions(self._dialect, filter))
        order = _ORDERS[filter.order]
        end = await self._end_of_search(filter, after) if filter.is_history else None
        if end is not None:
            every = every.where(_end >= _end_at(end))
        spans = [every.order_by(*order.by)] if after is None else order.after(every, after)
        ids, last = await self._page_ids(_PLACE, spans, PROMPT_DOCUMENTS, limit, max_bytes)
        found = {p.prompt_id: p for p in await self.get_prompts(ids) if filter.lists(p)}
        return PromptsPage(
            tuple(found[i] for i in ids if i in found), order.position(last) if last is not None else end
        )

    async def _end_of_search(
        self, filter: PromptFilter, after: PromptPosition | None
    ) -> tuple[str, str] | None:
        """Where the search for the prompts of a page ends: after SEARCHED closed ones of the namespace. None
        if there are fewer.

        Without this limit a page for a person who may see one prompt in a thousand, or a rare label, would
        read the history of years.
        """
        closed = PromptFilter(filter.namespace, states=(), order=PromptOrder.CLOSE_TIME)
        order = _ORDERS[closed.order]
        every = sa.select(prompts).where(*prompt_conditions(self._dialect, closed))
        [span] = [every.order_by(*order.by)] if after is None else order.after(every, after)
        last = await self._all(
            span.with_only_columns(prompts.c.responded_at, prompts.c.interaction_id)
            .offset(SEARCHED - 1)
            .limit(1)
        )
        return _closed_position(last[0]) if last else None

    async def count_prompts(self, filter: PromptFilter) -> int:
        """How many prompts match."""
        where = prompt_conditions(self._dialect, filter)
        found = await self._all(sa.select(sa.func.count().label("n")).select_from(prompts).where(*where))
        return int(found[0]["n"])


def prompt_conditions(dialect: Dialect, filter: PromptFilter) -> list[sa.ColumnElement[bool]]:
    """The conditions of a filter."""
    among = dialect.among
    namespace: sa.ColumnElement[str] = prompts.c.namespace
    if filter.is_narrow:
        # An expression, so that no index by namespace is used: planners prefer those that have the order of
        # the list, and would read all of its rows to find few.
        namespace = namespace.concat("")
    where: list[sa.ColumnElement[bool]] = [namespace == filter.namespace]
    states = [s.value for s in filter.states]
    if states == ["PENDING"]:
        where.append(prompts.c.responded_at.is_(None))
    elif states:
        where.append(among(prompts.c.status, states))
    if filter.order is PromptOrder.CLOSE_TIME and not filter.answered_by:
        # What a person answered is closed, and has an index of its own, which planners would not prefer.
        where.append(prompts.c.responded_at.is_not(None))
    if filter.answered_by:
        where.append(_answerer == filter.answered_by)
    if filter.unattended:
        where.append(prompts.c.unattended_since.is_not(None))
    if filter.person:
        holds = sa.and_(prompts.c.claimed_by == filter.person, prompts.c.claimed_until > dialect.now())
        named = dialect.has_any(prompts.c.audience, "users", [filter.person])
        where.append(sa.or_(holds, named))
    if filter.overdue:
        # The document contains a step only after an escalation.
        escalated = sa.cast(prompts.c.nudges, sa.Text).contains('"steps":')
        late = sa.or_(escalated, prompts.c.timeout_at <= dialect.now())
        where.append(sa.and_(prompts.c.responded_at.is_(None), late))
    if filter.expires_before is not None:
        where.append(prompts.c.interaction_id.in_(_expiring(filter.expires_before)))
    if filter.id_suffix:
        column = prompts.c.interaction_id
        where.append(column.in_(ending(column, filter.id_suffix)))
    if filter.job_id:
        where.append(prompts.c.job_id == filter.job_id)
    if filter.job_id_suffix:
        where.append(prompts.c.job_id.in_(ending(jobs.c.job_id, filter.job_id_suffix)))
    if filter.job_types:
        where.append(among(prompts.c.job_type, filter.job_types))
    if filter.kinds:
        where.append(among(prompts.c.interaction_type, filter.kinds))
    where += dialect.label_conditions(prompts.c.labels, filter)
    if filter.groups:
        where.append(dialect.has_any(prompts.c.audience, "groups", filter.groups))
    if filter.viewer is not None:
        where.append(dialect.is_seen_by(filter.viewer, prompts.c.audience))
    return where


def _expiring(before: datetime) -> sa.Select[tuple[str]]:
    """Select the open prompts, of any namespace, whose deadline is before a time."""
    own = prompts.alias()
    late = own.c.timeout_at < sa.literal(before, Instant())
    return sa.select(own.c.interaction_id).where(late, own.c.responded_at.is_(None))


def ending(column: sa.Column[str], suffix: str) -> sa.Select[tuple[str]]:
    """Select the ids, of any namespace, that end with a suffix of at least six characters.

    A subselect: as a plain condition SQLite would use the index on namespace and order instead.
    """
    own = column.table.alias().c[column.name]
    text = sa.cast(own, sa.Text)
    # A literal, as in the index, not a parameter: the plan is made once for all values and must match the
    # index.
    last = sa.func.substr(text, sa.literal_column(str(HANDLE_AT)))
    found = sa.select(own).where(last == suffix[-6:])
    return found if len(suffix) == 6 else found.where(sa.func.substr(text, 37 - len(suffix)) == suffix)
