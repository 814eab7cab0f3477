"""Counts by the hour: from the log to `hour_counts`, and from there to points and types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from askback_server.domain.answers import AnswerSource
from askback_server.domain.events import EventType
from askback_server.domain.overview import BOUNDS, NO_TIME, Measure, Window
from askback_server.ports.overview import CountMark, CountPage, HourCount
from askback_server.ports.storage import Position
from askback_server.storage.hour_table import hour_counts
from askback_server.storage.reader import Reader
from askback_server.storage.settings import COUNTED
from askback_server.storage.tables import events, jobs, prompts, settings
from askback_server.storage.types import Instant

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}

_MEASURES = {
    EventType.JOB_CREATED: Measure.JOBS_CREATED,
    EventType.JOB_COMPLETED: Measure.JOBS_COMPLETED,
    EventType.JOB_FAILED: Measure.JOBS_FAILED,
    EventType.JOB_CANCELLED: Measure.JOBS_CANCELLED,
    EventType.PROMPT_ASKED: Measure.PROMPTS_ASKED,
    EventType.PROMPT_ANSWERED: Measure.PROMPTS_ANSWERED,
    EventType.PROMPT_EXPIRED: Measure.PROMPTS_EXPIRED,
    EventType.PROMPT_CANCELLED: Measure.PROMPTS_WITHDRAWN,
    EventType.PROMPT_SUPERSEDED: Measure.PROMPTS_WITHDRAWN,
}
"""What the events count as; answers that no person gave now are told apart by their data."""


class HourCounts(Reader):
    """The part of the OverviewStore port that counts what happened."""

    async def mark(self) -> CountMark:
        """Read the setting."""
        found = await self._all(sa.select(settings.c.value).where(settings.c.name == COUNTED))
        return _to_mark(found[0]["value"])

    async def count_after(self, position: Position, limit: int) -> CountPage:
        """Find the end of the page, then group its events. No event can appear between two settled positions,
        so both statements see the same ones. The time until which all is counted is that of the next event,
        settled or not, or now."""
        now = await self.now()
        span = (
            sa.select(events.c.xid, events.c.id)
            .where(self._dialect.in_log(position), self._dialect.is_settled(events.c.xid))
            .order_by(events.c.xid, events.c.id)
            .limit(limit)
            .cte("span")
        )
        found = await self._all(
            sa.select(span, sa.func.count().over().label("n"))
            .order_by(span.c.xid.desc(), span.c.id.desc())
            .limit(1)
        )
        end, more = position, False
        counts: tuple[HourCount, ...] = ()
        if found:
            end, more = Position(found[0]["xid"], found[0]["id"]), found[0]["n"] == limit
            rows = await self._all(self.grouped(position, end))
            counts = tuple(HourCount(**{**row, "measure": Measure(row["measure"])}) for row in rows)
        following = (
            sa.select(events.c.at)
            .where(self._dialect.in_log(end))
            .order_by(events.c.xid, events.c.id)
            .limit(1)
        )
        rest = await self._all(following)
        return CountPage(counts, CountMark(end, rest[0]["at"] if rest else now), more)

    def grouped(self, after: Position, end: Position) -> sa.Select[Any]:
        """Count the events of a part of the log by hour, type, kind, measure and bucket. The jobs and prompts
        are found by their ids."""
        e, name = events.c, self._dialect.name
        source, carried = json_text(name, e.data, "source"), json_text(name, e.data, "carried_from")
        answered = sa.case(
            (carried.is_not(None), Measure.PROMPTS_CARRIED.value),
            (source == AnswerSource.TIMEOUT_DEFAULT.value, Measure.PROMPTS_DEFAULTED.value),
            else_=Measure.PROMPTS_ANSWERED.value,
        )
        plain = {type.value: measure.value for type, measure in _MEASURES.items()}
        del plain[EventType.PROMPT_ANSWERED]
        measure = sa.case(
            (e.type == EventType.PROMPT_ANSWERED.value, answered), else_=sa.case(plain, value=e.type)
        )
        # An answer of a rule is one, and says nothing of how long people take.
        seconds = sa.case(
            (source == AnswerSource.RULE.value, None),
            else_=seconds_between(name, prompts.c.created_at, e.at),
        )
        job_type = sa.func.coalesce(jobs.c.job_type, json_text(name, e.data, "job_type"), "")
        kind = sa.func.coalesce(prompts.c.interaction_type, json_text(name, e.data, "kind"), "")
        each = (
            sa.select(
                e.namespace,
                hour_of(name, e.at).label("hour"),
                job_type.label("job_type"),
                kind.label("kind"),
                measure.label("measure"),
                seconds.label("seconds"),
            )
            .select_from(
                events.outerjoin(jobs, jobs.c.job_id == e.job_id).outerjoin(
                    prompts, prompts.c.interaction_id == e.prompt_id
                )
            )
            .where(
                self._dialect.in_log(after, end),
                self._dialect.among(e.type, [type.value for type in _MEASURES]),
            )
            .subquery("each")
        )
        bucket = sa.case(
            (each.c.measure != Measure.PROMPTS_ANSWERED.value, 0),
            (each.c.seconds.is_(None), NO_TIME),
            else_=bucket_of_time(name, each.c.seconds),
        )
        columns = [column for column in each.c if column.name != "seconds"]
        found = sa.select(*columns, bucket.label("bucket")).subquery("found")
        return sa.select(*found.c, sa.func.count().label("n")).group_by(*found.c)

    async def add(self, before: CountMark, page: CountPage) -> bool:
        """Move the mark if it is still the same, and add the counts, in one transaction."""
        moved = (
            sa.update(settings)
            .where(settings.c.name == COUNTED, settings.c.value == _to_text(before))
            .values(value=_to_text(page.mark))
        )
        row: Any = _INSERT[self._dialect.name](hour_counts)
        upsert = row.on_conflict_do_update(
            index_elements=list(hour_counts.primary_key), set_={"n": hour_counts.c.n + row.excluded.n}
        )
        values = [{**asdict(count), "measure": count.measure.value} for count in page.counts]

        def work(connection: sa.Connection) -> bool:
            if connection.execute(moved).rowcount != 1:
                return False
            if values:
                connection.execute(upsert, values)
            return True

        done: bool = await self._dialect.run(work)
        return done

    async def delete_before(self, time: datetime) -> int:
        """Delete by the index of hours."""
        statement = sa.delete(hour_counts).where(hour_counts.c.hour < time)
        count: int = await self._dialect.run(lambda connection: connection.execute(statement).rowcount)
        return count

    async def by_point(self, namespace: str, window: Window) -> Sequence[tuple[int, Measure, int, int]]:
        """Sum up by the step of each hour."""
        c, name = hour_counts.c, self._dialect.name
        since = seconds_between(name, sa.literal(window.start, Instant()), c.hour)
        point = whole(name, since / window.step.total_seconds())
        statement = (
            sa.select(point.label("point"), c.measure, c.bucket, _total(c.n))
            .where(*_within(namespace, window))
            .group_by(point, c.measure, c.bucket)
        )
        found = await self._all(statement)
        return [(r["point"], Measure(r["measure"]), r["bucket"], r["n"]) for r in found]

    async def by_type(self, namespace: str, window: Window) -> Sequence[tuple[str, str, Measure, int, int]]:
        """Sum up by type and kind."""
        c = hour_counts.c
        statement = (
            sa.select(c.job_type, c.kind, c.measure, c.bucket, _total(c.n))
            .where(*_within(namespace, window))
            .group_by(c.job_type, c.kind, c.measure, c.bucket)
        )
        found = await self._all(statement)
        return [(r["job_type"], r["kind"], Measure(r["measure"]), r["bucket"], r["n"]) for r in found]


def _within(namespace: str, window: Window) -> tuple[sa.ColumnElement[bool], ...]:
    c = hour_counts.c
    return c.namespace == namespace, c.hour >= window.start, c.hour < window.end


def _total(column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.sum(column), sa.BigInteger).label("n")


def _to_mark(text: str) -> CountMark:
    xid, id, until = text.split(":", 2)
    return CountMark(Position(int(xid), int(id)), datetime.fromisoformat(until) if until else None)


def _to_text(mark: CountMark) -> str:
    return f"{mark.position.xid}:{mark.position.id}:{mark.until.isoformat() if mark.until else ''}"


# Expressions that differ between the databases.


def hour_of(name: str, column: sa.ColumnElement[datetime]) -> sa.ColumnElement[datetime]:
    """The full hour in UTC, at or before a time."""
    if name == "postgresql":
        return sa.func.date_trunc("hour", column, "UTC", type_=sa.DateTime(timezone=True))
    begin = sa.func.substr(column, 1, len("2026-01-01T00"), type_=sa.Text())
    return sa.type_coerce(begin.concat(":00:00.000000+00:00"), Instant())


def seconds_between(
    name: str, earlier: sa.ColumnElement[Any], later: sa.ColumnElement[Any]
) -> sa.ColumnElement[float]:
    """The seconds from one time to another; on SQLite exact to a millisecond."""
    if name == "postgresql":
        return sa.cast(sa.extract("epoch", later - earlier), sa.Double)
    days: sa.ColumnElement[float] = sa.func.julianday(later, type_=sa.Double()) - sa.func.julianday(earlier)
    return sa.func.round(days * 86_400.0, 3, type_=sa.Double())


def bucket_of_time(name: str, seconds: sa.ColumnElement[float]) -> sa.ColumnElement[int]:
    """The same as `bucket_of`: the number of bounds that a time has reached."""
    if name == "postgresql":
        bounds: sa.ColumnElement[Any] = sa.literal(list(BOUNDS), postgresql.ARRAY(sa.Double()))
        return sa.func.width_bucket(seconds, bounds, type_=sa.Integer())
    each = sa.func.json_each(json.dumps(BOUNDS)).table_valued("value")
    return sa.select(sa.func.count()).select_from(each).where(each.c.value <= seconds).scalar_subquery()


def json_text(name: str, column: sa.ColumnElement[Any], key: str) -> sa.ColumnElement[str | None]:
    """The text under a key of a JSON object."""
    if name == "postgresql":
        return sa.func.json_extract_path_text(column, key, type_=sa.Text())
    return sa.func.json_extract(column, f"$.{key}", type_=sa.Text())


def whole(name: str, number: sa.ColumnElement[float]) -> sa.ColumnElement[int]:
    """A number that is not negative, without its fraction."""
    return sa.cast(sa.func.floor(number) if name == "postgresql" else number, sa.Integer)
