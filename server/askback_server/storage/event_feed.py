"""The event log of all jobs, read in an order in which no event can appear later before a position.

PostgreSQL: by (xid, id) below the oldest transaction that still runs. A cursor on the serial id
alone loses events (measured: 474 of 5,157), because ids are assigned before their transactions commit.
SQLite: one writer, so ids are in the order of commits, and every xid is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import sqlalchemy as sa

from askback_server.domain.events import EventType
from askback_server.ports.storage import Changed, ChangedPromptIds, Holder, Position
from askback_server.storage.dialect import Dialect
from askback_server.storage.history import end_history
from askback_server.storage.reader import MOST, Reader, named
from askback_server.storage.settings import get_setting
from askback_server.storage.tables import events, settings


class EventFeed(Reader):
    """The EventLog port: positions in the log, and the changes between them."""

    async def epoch(self) -> str:
        """The name of this database's history. Resume tokens of another history are refused."""
        return str(await self._dialect.run(lambda c: get_setting(c, "feed_epoch")))

    async def end_history(self, name: str) -> None:
        """Start a new history if the current one is still `name`."""
        await self._dialect.run(partial(end_history, name=name))

    async def head(self) -> Position:
        """The newest position to resume from without missing an event."""
        found = await self._look_up(_head(type(self._dialect)))
        return _position(found[0]) if found else await self.tail()

    async def tail(self) -> Position:
        """The oldest position that can still be resumed from."""
        found = await self._look_up(_TAIL)
        return _tail_of(found[0]["tail"] if found else None)

    async def after(
        self, position: Position, limit: int, *, settled: bool = True
    ) -> tuple[list[Changed], Position]:
        """Changes after a position, one per job, and the last position. Only settled events by default.

        The database folds the events, because most of them were written by this replica and are known here.
        """
        values = {"xid": position.xid, "id": position.id, "most": limit}
        found = await self._look_up(_after(type(self._dialect), settled), **values)
        if not found:
            return [], position
        return list(map(_to_changed, found)), _position(found[0])

    async def changed_prompts(self, position: Position, limit: int) -> ChangedPromptIds | None:
        """See FeedStore. One statement, which also reads the event at the position and the tail: both show
        whether the log still has everything after it."""
        given = {"xid": position.xid, "id": position.id - 1, "most": limit + 1}
        found = await self._look_up(_from_here(type(self._dialect)), **given)
        tail = _tail_of(found[0]["tail"]) if found else await self.tail()
        here = [row for row in found[:1] if _position(row) == position]
        is_known = position.mark in ("", _position(here[0]).mark) if here else position == tail
        if position < tail or not is_known:
            return None
        later = found[len(here) : len(here) + limit]
        ids: dict[str, set[str]] = {}
        for row in later:
            if row["prompt_id"]:
                ids.setdefault(row["namespace"], set()).add(row["prompt_id"])
        reached = _position(later[-1]) if later else position
        by_namespace = {namespace: frozenset(each) for namespace, each in ids.items()}
        return ChangedPromptIds(by_namespace, reached, len(found) <= limit)

    async def of_jobs(self, marks: Mapping[str, int]) -> list[Changed]:
        """Changes of these jobs above a seq for each job."""
        if not marks:
            return []
        above = self._dialect.marks(marks)
        span = _columns().join(
            above, sa.and_(events.c.job_id == above.c.job_id, events.c.seq > above.c.after)
        )
        return list(map(_to_changed, await self._all(_fold(span))))

    async def has_position(self, position: Position) -> bool:
        """Whether the event at a position is still stored: it may have been dropped with its day."""
        if position <= await self.tail():
            return True
        found = await self._look_up(_AT, xid=position.xid, id=position.id)
        return bool(found) and position.mark in ("", _position(found[0]).mark)

    async def settle_lag(self) -> float:
        """Age in seconds of the oldest committed event that is not settled; 0 without one."""
        given = self._dialect.give_time("now")
        found = await self._look_up(_first_unsettled(type(self._dialect)), **given)
        return max(0.0, (found[0]["now"] - found[0]["at"]).total_seconds()) if found else 0.0

    async def holder(self) -> Holder | None:
        """The transaction that keeps events unsettled; None if unknown."""
        return await self._dialect.holder()


@cache
def _head(kind: type[Dialect]) -> sa.Select[Any]:
    """The last settled event."""
    return (
        sa.select(events.c.xid, events.c.id, events.c.command_id)
        .where(kind.is_settled(events.c.xid))
        .order_by(events.c.xid.desc(), events.c.id.desc())
        .limit(1)
    )


@cache
def _first_unsettled(kind: type[Dialect]) -> sa.Select[Any]:
    """The time of the first event that is not settled, and the time now."""
    return (
        sa.select(events.c.at, sa.type_coerce(kind.time("now"), events.c.at.type).label("now"))
        .where(sa.not_(kind.is_settled(events.c.xid)))
        .order_by(events.c.xid, events.c.id)
        .limit(1)
    )


@cache
def _from_here(kind: type[Dialect]) -> sa.Select[Any]:
    """The first events after a position, each with the tail of the log."""
    every = _columns().add_columns(_TAIL.scalar_subquery().label("tail"))
    return every.where(kind.in_log_after("xid", "id")).order_by(events.c.xid, events.c.id).limit(MOST)


@cache
def _after(dialect: type[Dialect], settled: bool) -> sa.Select[Any]:
    """The statement of `EventFeed.after`: for all events, or for settled ones only."""
    span = _columns().where(dialect.in_log_after("xid", "id")).order_by(events.c.xid, events.c.id)
    span = span.limit(MOST)
    return _fold(span.where(dialect.is_settled(events.c.xid)) if settled else span)


def _fold(span: sa.Select[Any]) -> sa.Select[Any]:
    """One row per job; every row also has the last position of the whole span."""
    every = span.cte("span")
    last = (
        sa.select(every.c.xid, every.c.id, every.c.command_id)
        .order_by(every.c.xid.desc(), every.c.id.desc())
        .limit(1)
        .subquery("last")
    )
    late = sa.case((every.c.type == EventType.ANSWER_LATE.value, every.c.prompt_id))
    return (
        sa.select(
            every.c.job_id,
            (sa.func.min(every.c.seq) - 1).label("after"),
            sa.func.max(every.c.seq).label("seq"),
            sa.func.max(every.c.namespace).label("namespace"),
            _join_texts(every.c.prompt_id).label("prompt_ids"),
            _join_texts(late).label("late"),
            *last.c,
        )
        .select_from(every.join(last, sa.true()))
        .group_by(every.c.job_id, *last.c)
        .order_by(sa.func.min(every.c.id))
    )


_AT = sa.select(events.c.xid, events.c.id, events.c.command_id).where(
    events.c.xid == named("xid", events.c.xid),
    events.c.id == named("id", events.c.id),
)
_TAIL = sa.select(settings.c.value.label("tail")).where(settings.c.name == "feed_tail")


def _tail_of(value: str | None) -> Position:
    xid, _, id = str(value or "0:0").partition(":")
    return Position(int(xid), int(id))


def _columns() -> sa.Select[Any]:
    c = events.c
    return sa.select(c.xid, c.id, c.command_id, c.job_id, c.seq, c.type, c.prompt_id, c.namespace)


def _position(row: Any) -> Position:
    # The last characters of a UUIDv7 are random.
    return Position(row["xid"], row["id"], row["command_id"][-8:])


def _join_texts(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.aggregate_strings(sa.cast(column, sa.Text), ",")


def _to_changed(row: Any) -> Changed:
    prompt_ids, late = _set(row["prompt_ids"]), _set(row["late"])
    return Changed(row["job_id"], row["after"], row["seq"], prompt_ids, row["namespace"], late)


def _set(texts: str | None) -> frozenset[str]:
    return frozenset(texts.split(",")) if texts else frozenset()
