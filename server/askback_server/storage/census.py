"""Count open prompts, runnable jobs and held jobs, up to a bound, by the partial indexes that hold only
these."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from askback_server.ports.census import Census, OpenPrompts, Runnable
from askback_server.ports.storage import Position
from askback_server.storage.age_classes import by_age, younger_counts
from askback_server.storage.reader import Reader
from askback_server.storage.tables import events, jobs, prompts, sessions


class Counts(Reader):
    """The CensusStore port."""

    async def take(self, maximum: int) -> Census:
        """Count up to `maximum` rows per table. Raises StorageUnavailable."""
        now = await self.now()
        asked = await self._all(_open_prompts(now, maximum))
        waiting = await self._all(_runnable(now, maximum))
        held = await self._all(_held_jobs(maximum))
        living = sa.select(sa.func.count().label("n")).where(sessions.c.expires_at > now)
        counts = [sum(row["n"] for row in rows) for rows in (asked, waiting, held)]
        return Census(
            tuple(_prompts_of(row, now) for row in asked),
            tuple(Runnable(row["name"], row["n"], _age(row["first"], now)) for row in waiting),
            {row["name"]: row["n"] for row in held},
            (await self._all(living))[0]["n"],
            max(counts) >= maximum,
        )

    async def behind(self, position: Position) -> float:
        """Age in seconds of the first event after a feed position, settled or not; 0 without one."""
        place = sa.tuple_(
            sa.literal(position.xid, events.c.xid.type), sa.literal(position.id, sa.BigInteger())
        )
        first = (
            sa.select(events.c.at, self._dialect.now().label("now"))
            .where(sa.tuple_(events.c.xid, events.c.id) > place)
            .order_by(events.c.xid, events.c.id)
            .limit(1)
        )
        found = await self._all(first)
        return _age(found[0]["at"], found[0]["now"]) if found else 0.0

    def connections(self) -> Mapping[str, int]:
        """Connections for reads, by state."""
        return self._dialect.connections()


def _open_prompts(now: datetime, maximum: int) -> sa.Select[Any]:
    few = (
        sa.select(prompts.c.interaction_type.label("name"), prompts.c.created_at, prompts.c.unattended_since)
        .where(prompts.c.responded_at.is_(None))
        .limit(maximum)
        .subquery()
    )
    younger = younger_counts(few.c.created_at, now)
    first = sa.func.min(few.c.created_at, type_=few.c.created_at.type).label("first")
    missed = sa.func.count(few.c.unattended_since).label("unattended")
    return sa.select(few.c.name, sa.func.count().label("n"), missed, first, *younger).group_by(few.c.name)


def _runnable(now: datetime, maximum: int) -> sa.Select[Any]:
    few = (
        sa.select(jobs.c.job_type.label("name"), jobs.c.ready_at)
        .where(jobs.c.ready_at.is_not(None), jobs.c.ready_at <= now)
        .limit(maximum)
        .subquery()
    )
    first = sa.func.min(few.c.ready_at, type_=few.c.ready_at.type).label("first")
    return sa.select(few.c.name, sa.func.count().label("n"), first).group_by(few.c.name)


def _held_jobs(maximum: int) -> sa.Select[Any]:
    few = (
        sa.select(jobs.c.job_type.label("name"))
        .where(jobs.c.session_id.is_not(None))
        .limit(maximum)
        .subquery()
    )
    return sa.select(few.c.name, sa.func.count().label("n")).group_by(few.c.name)


def _prompts_of(row: Any, now: datetime) -> OpenPrompts:
    return OpenPrompts(row["name"], by_age(row, row["n"]), _age(row["first"], now), row["unattended"])


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
