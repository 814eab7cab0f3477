"""Lists of prompts: their conditions, their two orders, and their pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from askback_server.ports.queries import PromptFilter, PromptPosition, PromptsPage
from askback_server.storage import rows
from askback_server.storage.paging import Documents, Paging
from askback_server.storage.tables import ANSWERED_BY, HANDLE_AT, jobs, prompts

PROMPT_DOCUMENTS: Documents = (prompts.c.prompt_data, prompts.c.response_data)
"""The columns that make up the size of a row."""
_answerer: sa.ColumnElement[str] = sa.literal_column(f"({ANSWERED_BY})", sa.Text())
_FAR = datetime(9999, 12, 31, tzinfo=UTC)
"""The sort key of prompts without a deadline: after all prompts with one."""
_DEADLINE = sa.func.coalesce(prompts.c.timeout_at, sa.literal(_FAR, prompts.c.timeout_at.type))


@dataclass(frozen=True, slots=True)
class _Order:
    """An order of prompts. `position` is the place of a row, `after` the condition for the rows after it."""

    by: tuple[sa.ColumnElement[Any], ...]
    position: Callable[[Any], PromptPosition]
    after: Callable[[Any], sa.ColumnElement[bool]]


def _urgent_position(row: Any) -> PromptPosition:
    at = row["timeout_at"]
    return row["priority"], at.isoformat() if at else None, row["interaction_id"]


def _after_urgent(position: tuple[int, str | None, str]) -> sa.ColumnElement[bool]:
    priority, deadline, prompt_id = position
    at = _FAR if deadline is None else datetime.fromisoformat(deadline)
    return sa.tuple_(-prompts.c.priority, _DEADLINE, prompts.c.interaction_id) > sa.tuple_(
        sa.literal(-priority, sa.Integer()),
        sa.literal(at, prompts.c.timeout_at.type),
        sa.literal(prompt_id, prompts.c.interaction_id.type),
    )


def _answered_position(row: Any) -> PromptPosition:
    return row["responded_at"].isoformat(), row["interaction_id"]


def _after_answered(position: tuple[str, str]) -> sa.ColumnElement[bool]:
    at, prompt_id = position
    return sa.tuple_(prompts.c.responded_at, prompts.c.interaction_id) < sa.tuple_(
        sa.literal(datetime.fromisoformat(at), prompts.c.responded_at.type),
        sa.literal(prompt_id, prompts.c.interaction_id.type),
    )


_URGENT = _Order(
    (prompts.c.priority.desc(), _DEADLINE, prompts.c.interaction_id), _urgent_position, _after_urgent
)
_ANSWERED = _Order(
    (prompts.c.responded_at.desc(), prompts.c.interaction_id.desc()), _answered_position, _after_answered
)
_PLACE = (prompts.c.interaction_id, prompts.c.priority, prompts.c.timeout_at, prompts.c.responded_at)
"""The columns that the positions are made of."""


class PromptLists(Paging):
    """The part of the JobStore that lists prompts."""

    async def list_prompts(
        self, filter: PromptFilter, limit: int, after: PromptPosition | None, max_bytes: int
    ) -> PromptsPage:
        """A page of prompts by priority, deadline and age, or by the time of a person's answers."""
        where = self._prompt_conditions(filter)
        order = _ANSWERED if filter.answered_by else _URGENT
        page = where if after is None else [*where, order.after(after)]
        statement = sa.select(prompts).where(*page).order_by(*order.by)
        found, last = await self._page(_PLACE, statement, PROMPT_DOCUMENTS, limit, max_bytes)
        counted = await self._all(sa.select(sa.func.count().label("n")).select_from(prompts).where(*where))
        next = order.position(last) if last else None
        return PromptsPage(tuple(map(rows.to_prompt, found)), next, counted[0]["n"])

    def _prompt_conditions(self, filter: PromptFilter) -> list[sa.ColumnElement[bool]]:
        among = self._dialect.among
        where: list[sa.ColumnElement[bool]] = [prompts.c.namespace == filter.namespace]
        states = [s.value for s in filter.states]
        if states == ["PENDING"]:
            where.append(prompts.c.responded_at.is_(None))
        elif states:
            where.append(among(prompts.c.status, states))
        if filter.answered_by:
            where.append(_answerer == filter.answered_by)
        if filter.unattended:
            where.append(prompts.c.unattended_since.is_not(None))
        if filter.person:
            holds = sa.and_(
                prompts.c.claimed_by == filter.person, prompts.c.claimed_until > self._dialect.now()
            )
            named = self._dialect.has_any(prompts.c.audience, "users", [filter.person])
            where.append(sa.or_(holds, named))
        if filter.overdue:
            # The document contains a step only after an escalation.
            escalated = sa.cast(prompts.c.nudges, sa.Text).contains('"steps":')
            late = sa.or_(escalated, prompts.c.timeout_at <= self._dialect.now())
            where.append(sa.and_(prompts.c.responded_at.is_(None), late))
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
        where += self._dialect.label_conditions(prompts.c.labels, filter)
        if filter.groups:
            where.append(self._dialect.has_any(prompts.c.audience, "groups", filter.groups))
        if filter.viewer is not None:
            where.append(self._dialect.is_seen_by(filter.viewer, prompts.c.audience))
        return where


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
