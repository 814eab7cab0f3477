"""The queries of timers, dispatch and the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from askback_server.domain.jobs import Job
from askback_server.ports.storage import Position
from askback_server.storage.aggregate_reads import HEAD
from askback_server.storage.dialect import Dialect
from askback_server.storage.reader import MOST, Reader
from askback_server.storage.rows import to_job
from askback_server.storage.settings import put_setting
from askback_server.storage.tables import jobs, prompts, sessions


class WorkQueueStore(Reader):
    """The WorkQueue port. All results are hints from indexes; the guard of each write decides."""

    async def claimable(self, limits: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], list[str]]:
        """Runnable jobs of some queues, for each queue by priority and age.

        Read without locks: the lease is a guarded write, and a SKIP LOCKED claim after other writes would
        break the order of the feed. Each queue is a short scan of the index of ready jobs, so a long backlog
        is never read whole.
        """
        found: dict[tuple[str, str], list[str]] = {}
        by_limit: dict[int, list[tuple[str, str]]] = {}
        for queue, limit in sorted(limits.items()):
            if limit > 0:
                # Rounded up to a power of two, so that queues with similar limits share a statement.
                by_limit.setdefault(1 << (limit - 1).bit_length(), []).append(queue)
        for limit, queues in by_limit.items():
            given = {**self._dialect.give_pairs("queues", queues), **self._dialect.give_time("now")}
            for row in await self._look_up(_first_of_each(type(self._dialect)), most=limit, **given):
                found.setdefault((row["namespace"], row["job_type"]), []).append(row["job_id"])
        return {queue: ids[: limits[queue]] for queue, ids in found.items()}

    async def list_queues(self, after: Mapping[str, str], limit: int) -> dict[str, dict[str, bool]]:
        """See WorkQueue. The index leads from one job type to the next: what is read does not grow with job
        types without ready jobs, nor with the jobs of a type."""
        found: dict[str, dict[str, bool]] = {}
        given = {**self._dialect.give_pairs("after", sorted(after.items())), **self._dialect.give_time("now")}
        for row in await self._look_up(_next_of_each(type(self._dialect)), most=limit, **given):
            found.setdefault(row["namespace"], {})[row["job_type"]] = bool(row["is_claimable"])
        return found

    async def list_due(
        self, ahead: timedelta, limit: int
    ) -> tuple[datetime, list[tuple[datetime, str, str]]]:
        """The database's time, and all timers due within `ahead` of it, earliest first, in one round trip."""
        given = {**self._dialect.give_time("now"), **self._dialect.give_time("until", ahead)}
        rows = await self._look_up(_due(type(self._dialect)), most=limit, **given)
        [at] = [r["at"] for r in rows if r["what"] == "now"]
        found = sorted((r["at"], r["what"], r["job_id"]) for r in rows if r["what"] != "now")
        return at, found[:limit]

    async def orphans(self, limit: int) -> list[tuple[str, str]]:
        """Jobs whose session row no longer exists."""
        return [(r["job_id"], r["session_id"]) for r in await self._look_up(_ORPHANS, most=limit)]

    async def list_expired(self, limit: int, since: datetime | None) -> list[Job]:
        """See WorkQueue. The clock is read once, as in `_first_due`."""
        statement = (
            sa.select(*HEAD)
            .where(jobs.c.purge_at <= sa.select(self._dialect.now()).scalar_subquery())
            .order_by(jobs.c.purge_at)
            .limit(limit)
        )
        if since is not None:
            statement = statement.where(jobs.c.purge_at >= since)
        return [to_job(row) for row in await self._all(statement)]

    async def drop_events(self, keep: datetime, limit: int) -> int:
        """Drop days that no stored job and no resume token made after `keep` can need (docs/design.md 8)."""
        oldest = sa.select(sa.func.min(jobs.c.created_at, type_=jobs.c.created_at.type).label("at"))
        first: datetime | None = (await self._all(oldest))[0]["at"]
        before = min(keep, first) if first else keep
        before = before.replace(hour=0, minute=0, second=0, microsecond=0)
        found = await self._all(self._dialect.last_to_drop(before, limit))
        if not found:
            return 0
        last = Position(found[0]["xid"], found[0]["id"])
        # Write the mark first: a token below it must be refused before its events are dropped.
        await self._dialect.run(lambda c: put_setting(c, "feed_tail", f"{last.xid}:{last.id}"))
        return await self._dialect.drop_events(before, last)

    async def make_room(self) -> None:
        """Create the partitions of the coming days."""
        await self._dialect.make_room()


_living = sa.exists().where(sessions.c.session_id == jobs.c.session_id)
_ORPHANS = (
    sa.select(jobs.c.job_id, jobs.c.session_id)
    .where(jobs.c.session_id.is_not(None), sa.not_(_living))
    .limit(MOST)
)


@cache
def _first_of_each(dialect: type[Dialect]) -> sa.Select[Any]:
    """The first jobs of each queue, in its order."""
    here = jobs.alias("here")
    now = dialect.time("now")

    def first(namespace: sa.ColumnElement[Any], job_type: sa.ColumnElement[Any]) -> sa.Select[Any]:
        return (
            sa.select(here.c.job_id, here.c.namespace, here.c.job_type, here.c.priority, here.c.ready_at)
            .where(
                here.c.namespace == namespace,
                here.c.job_type == job_type,
                here.c.ready_at.is_not(None),
                here.c.ready_at <= now,
            )
            .order_by(here.c.priority.desc(), here.c.ready_at)
            .limit(MOST)
        )

    every = dialect.firsts("queues", first)
    order = (every.c.priority.desc(), every.c.ready_at, every.c.job_id)
    return sa.select(every.c.job_id, every.c.namespace, every.c.job_type).order_by(*order)


@cache
def _next_of_each(dialect: type[Dialect]) -> sa.Select[Any]:
    """A recursive query: each round finds the next job type of each namespace."""
    start = dialect.pairs("after")
    begin = sa.select(
        start.c.one.label("namespace"), start.c.other.label("job_type"), sa.literal(0).label("step")
    )
    walk = begin.cte("walk", recursive=True)
    here = jobs.alias("here")

    def first(column: sa.Column[Any], *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        ready = here.c.namespace == walk.c.namespace, here.c.ready_at.is_not(None)
        return sa.select(column).where(*ready, *where).limit(1).correlate(walk)

    following = first(here.c.job_type, here.c.job_type > walk.c.job_type).order_by(here.c.job_type)
    more = sa.select(walk.c.namespace, following.scalar_subquery(), walk.c.step + 1)
    begun = walk
    walk = walk.union_all(more.where(begun.c.job_type.is_not(None), begun.c.step < MOST))
    head = first(here.c.ready_at, here.c.job_type == walk.c.job_type)
    head = head.order_by(here.c.priority.desc(), here.c.ready_at)
    return (
        sa.select(
            walk.c.namespace,
            walk.c.job_type,
            (head.scalar_subquery() <= dialect.time("now")).label("is_claimable"),
        )
        .where(walk.c.job_type.is_not(None), walk.c.step > 0)
        .order_by(walk.c.namespace, walk.c.step)
    )


@cache
def _due(dialect: type[Dialect]) -> sa.CompoundSelect[Any]:
    """The time `now`, and the first rows of each index of times up to `until`."""
    still_open = prompts.c.responded_at.is_(None)
    parts = [
        _first_due(dialect, "due", prompts.c.timeout_at, still_open),
        _first_due(dialect, "due", prompts.c.nudge_at, still_open),
        _first_due(dialect, "due", jobs.c.deadline, jobs.c.completed_at.is_(None)),
        _first_due(dialect, "due", jobs.c.run_until),
        _first_due(dialect, "cancel", jobs.c.cancel_at),
    ]
    now = sa.type_coerce(dialect.time("now"), jobs.c.created_at.type)
    no_job = sa.cast(sa.null(), jobs.c.job_id.type)
    clock = sa.select(now.label("at"), sa.literal("now").label("what"), no_job.label("job_id"))
    return sa.union_all(clock, *parts)


def _first_due(
    dialect: type[Dialect], what: str, column: sa.Column[Any], *also: sa.ColumnElement[bool]
) -> sa.Select[Any]:
    """The first rows of one index. A subselect, because SQLite orders only a whole union."""
    # In a subselect the clock is read once; a volatile function in the condition would prevent an index
    # scan.
    until = sa.select(dialect.time("until")).scalar_subquery()
    soonest = (
        sa.select(column.label("at"), sa.literal(what).label("what"), column.table.c.job_id)
        .where(column.is_not(None), column <= until, *also)
        .order_by(column)
        .limit(MOST)
        .subquery()
    )
    return sa.select(soonest)
