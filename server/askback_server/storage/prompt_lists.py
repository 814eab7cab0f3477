"""Lists of prompts: their orders and their pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import sqlalchemy as sa

from askback_server.ports.queries import PromptFilter, PromptOrder, PromptPosition, PromptsPage
from askback_server.storage.aggregate_reads import AggregateReads
from askback_server.storage.dialect import Dialect
from askback_server.storage.paging import Documents, Paging, size_of
from askback_server.storage.prompt_conditions import GivenValues, conditions_of, where_all
from askback_server.storage.reader import MOST, named
from askback_server.storage.tables import NO_DEADLINE, prompts
from askback_server.storage.types import Instant

PROMPT_DOCUMENTS: Documents = (prompts.c.prompt_data, prompts.c.response_data)
"""The columns that make up the size of a row."""
# A literal, as in the index, not a parameter: a plan for all values must match the index.
_no_deadline: sa.ColumnElement[datetime] = sa.literal_column(NO_DEADLINE, Instant())
_deadline = sa.func.coalesce(prompts.c.timeout_at, _no_deadline)
SEARCHED = 2_000
"""The most closed prompts that a page of a history looks at."""
URGENCY = (prompts.c.priority.desc(), _deadline, prompts.c.interaction_id)
"""The order of prompts in an inbox: priority, deadline, age."""
_BY_CLOSE_TIME = (prompts.c.responded_at.desc(), prompts.c.interaction_id.desc())
_PLACE = (prompts.c.interaction_id, prompts.c.priority, prompts.c.timeout_at, prompts.c.responded_at)
"""The columns that positions are made of."""

Select = sa.Select[Any]


def _with_deadline(every: Select, deadline: sa.ColumnElement[datetime]) -> Select:
    """The rest of the same deadline."""
    _, _, by_id = URGENCY
    further = prompts.c.interaction_id > named("id", prompts.c.interaction_id)
    return _with_priority(every).where(_deadline == deadline, further).order_by(by_id)


def _with_priority(every: Select) -> Select:
    return every.where(prompts.c.priority == named("priority", prompts.c.priority))


def _with_later_deadline(every: Select) -> Select:
    _, by_deadline, by_id = URGENCY
    later = _deadline > sa.bindparam("deadline", None, type_=Instant())
    return _with_priority(every).where(later).order_by(by_deadline, by_id)


def _with_lower_priority(every: Select) -> Select:
    lower = prompts.c.priority < named("priority", prompts.c.priority)
    return every.where(lower).order_by(*URGENCY)


_end = sa.tuple_(prompts.c.responded_at, prompts.c.interaction_id)


def _named_end(name: str) -> sa.ColumnElement[Any]:
    return sa.tuple_(
        named(f"{name}_at", prompts.c.responded_at), named(f"{name}_id", prompts.c.interaction_id)
    )


def _give_end(name: str, position: Sequence[Any]) -> GivenValues:
    at, prompt_id = position
    return {f"{name}_at": datetime.fromisoformat(at), f"{name}_id": prompt_id}


_SPANS: Mapping[str, Callable[[Select], Select]] = {
    "urgent": lambda every: every.order_by(*URGENCY),
    "same deadline": lambda every: _with_deadline(every, sa.bindparam("deadline", None, type_=Instant())),
    "no deadline": lambda every: _with_deadline(every, _no_deadline),
    "later deadline": _with_later_deadline,
    "lower priority": _with_lower_priority,
    "closed": lambda every: every.order_by(*_BY_CLOSE_TIME),
    "closed before": lambda every: every.where(_end < _named_end("before")).order_by(*_BY_CLOSE_TIME),
}
"""Parts of an order by name: the whole, and those that follow a position. An index can start at the beginning
of a span."""


@dataclass(frozen=True, slots=True)
class _Order:
    """An order of prompts."""

    position: Callable[[Any], PromptPosition]
    """The position of a row."""
    spans: Callable[[PromptPosition | None], tuple[Sequence[str], GivenValues]]
    """The spans that follow a position, one after the other, and their values; None: the whole."""


def _urgent_position(row: Any) -> PromptPosition:
    at = row["timeout_at"]
    return row["priority"], at.isoformat() if at else None, row["interaction_id"]


def _urgent_spans(position: Any) -> tuple[Sequence[str], GivenValues]:
    if position is None:
        return ["urgent"], {}
    priority, deadline, prompt_id = position
    values = {"priority": priority, "id": prompt_id}
    if deadline is None:
        return ["no deadline", "lower priority"], values
    values["deadline"] = datetime.fromisoformat(deadline)
    return ["same deadline", "later deadline", "lower priority"], values


def _closed_position(row: Any) -> tuple[str, str]:
    return row["responded_at"].isoformat(), row["interaction_id"]


def _closed_spans(position: Any) -> tuple[Sequence[str], GivenValues]:
    return (["closed"], {}) if position is None else (["closed before"], _give_end("before", position))


_ORDERS = {
    PromptOrder.URGENCY: _Order(_urgent_position, _urgent_spans),
    PromptOrder.CLOSE_TIME: _Order(_closed_position, _closed_spans),
}


@lru_cache(maxsize=512)
def _places(kind: type[Dialect], conditions: tuple[str, ...], span: str, *, has_end: bool) -> Select:
    """The first `most` places and sizes of a span, from an `end` if it has one."""
    every = sa.select(*_PLACE, size_of(kind, PROMPT_DOCUMENTS)).where(*where_all(kind, conditions))
    if has_end:
        every = every.where(_end >= _named_end("end"))
    return _SPANS[span](every).limit(MOST)


@lru_cache(maxsize=16)
def _search_end(kind: type[Dialect], conditions: tuple[str, ...], span: str) -> Select:
    """The place of the last prompt that a search looks at."""
    closed = sa.select(prompts.c.responded_at, prompts.c.interaction_id).where(*where_all(kind, conditions))
    return _SPANS[span](closed).offset(sa.bindparam("skipped", None, type_=sa.Integer())).limit(1)


@lru_cache(maxsize=512)
def _count(kind: type[Dialect], conditions: tuple[str, ...]) -> Select:
    return sa.select(sa.func.count().label("n")).select_from(prompts).where(*where_all(kind, conditions))


class PromptLists(Paging, AggregateReads):
    """The part of the JobStore that lists prompts."""

    async def list_prompts(
        self, filter: PromptFilter, limit: int, after: PromptPosition | None, max_bytes: int
    ) -> PromptsPage:
        """A page of prompts in the order of the filter."""
        conditions, values = conditions_of(self._dialect, filter)
        order = _ORDERS[filter.order]
        spans, place = order.spans(after)
        values |= place
        end = await self._end_of_search(filter, after) if filter.is_history else None
        if end is not None:
            values |= _give_end("end", end)

        async def read(span: str, count: int) -> Sequence[Any]:
            statement = _places(type(self._dialect), conditions, span, has_end=end is not None)
            return await self._list(statement, {**values, "most": count})

        ids, last = await self._page_ids(
            "interaction_id", [partial(read, span) for span in spans], limit, max_bytes
        )
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
        conditions, values = conditions_of(self._dialect, closed)
        [span], place = _closed_spans(after)
        statement = _search_end(type(self._dialect), conditions, span)
        last = await self._list(statement, {**values, **place, "skipped": SEARCHED - 1})
        return _closed_position(last[0]) if last else None

    async def count_prompts(self, filter: PromptFilter) -> int:
        """How many prompts match."""
        conditions, values = conditions_of(self._dialect, filter)
        found = await self._list(_count(type(self._dialect), conditions), values)
        return int(found[0]["n"])
