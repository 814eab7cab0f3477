"""What timers, dispatch and sweep look for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from askback_server.storage.reads import Reads
from askback_server.storage.settings import put_setting
from askback_server.storage.tables import events, jobs, prompts, sessions

TYPES = 64
"""Job types that one statement looks for: SQLite takes 500 parts, and planning has its price."""


class Queue(Reads):
    """Hints from indexes; every write is decided by its guard."""

    async def claimable(self, namespace: str, limits: Mapping[str, int]) -> dict[str, list[str]]:
        """Jobs that are ready, by type, each type's by priority and age.

        Read without locks: the lease is a guarded write, and a SKIP LOCKED claim after other writes
        would break the feed's order. Each type is a short walk along the index of ready jobs, so
        nobody's backlog is ever read whole.
        """
        found: dict[str, list[str]] = {}
        wanted = [(job_type, limit) for job_type, limit in sorted(limits.items()) if limit > 0]
        for at in range(0, len(wanted), TYPES):
            for row in await self._all(self._first(namespace, wanted[at : at + TYPES])):
                found.setdefault(row["job_type"], []).append(row["job_id"])
        return found

    def _first(self, namespace: str, wanted: Sequence[tuple[str, int]]) -> Any:
        """The first jobs of some types, in their order."""
        walks = []
        for job_type, limit in wanted:
            walk = (
                sa.select(jobs.c.job_id, jobs.c.job_type, jobs.c.priority, jobs.c.ready_at)
                .where(
                    jobs.c.namespace == namespace,
                    jobs.c.job_type == job_type,
                    jobs.c.ready_at.is_not(None),
                    jobs.c.ready_at <= self._dialect.now(),
                )
                .order_by(jobs.c.priority.desc(), jobs.c.ready_at)
                .limit(limit)
                .subquery()
            )
            walks.append(sa.select(walk))
        every = sa.union_all(*walks).subquery()
        order = (every.c.priority.desc(), every.c.ready_at, every.c.job_id)
        return sa.select(every.c.job_id, every.c.job_type).order_by(*order)

    async def due(self, until: datetime, limit: int) -> list[tuple[datetime, str, str]]:
        """Deadlines up to a time, soonest first."""
        of_prompts = (
            sa.select(prompts.c.timeout_at.label("at"), prompts.c.job_id)
            .where(prompts.c.responded_at.is_(None), prompts.c.timeout_at <= until)
            .order_by(prompts.c.timeout_at)
            .limit(limit)
        )
        of_cancels = (
            sa.select(jobs.c.cancel_at.label("at"), jobs.c.job_id)
            .where(jobs.c.cancel_at <= until)
            .order_by(jobs.c.cancel_at)
            .limit(limit)
        )
        found = [(r["at"], "prompt", r["job_id"]) for r in await self._all(of_prompts)]
        found += [(r["at"], "cancel", r["job_id"]) for r in await self._all(of_cancels)]
        return sorted(found)[:limit]

    async def orphans(self, limit: int) -> list[tuple[str, str]]:
        """Jobs whose session row is gone."""
        living = sa.exists().where(sessions.c.session_id == jobs.c.session_id)
        statement = (
            sa.select(jobs.c.job_id, jobs.c.session_id)
            .where(jobs.c.session_id.is_not(None), sa.not_(living))
            .limit(limit)
        )
        return [(r["job_id"], r["session_id"]) for r in await self._all(statement)]

    async def expired(self, limit: int) -> list[str]:
        """Finished jobs whose retention is over, longest first."""
        statement = (
            sa.select(jobs.c.job_id)
            .where(jobs.c.purge_at <= self._dialect.now())
            .order_by(jobs.c.purge_at)
            .limit(limit)
        )
        return [r["job_id"] for r in await self._all(statement)]

    async def drop_events(self, keep: datetime) -> int:
        """Drop days that neither a stored job nor a token made after `keep` can need (DESIGN 8)."""
        oldest = sa.select(sa.func.min(jobs.c.created_at, type_=jobs.c.created_at.type).label("at"))
        first: datetime | None = (await self._all(oldest))[0]["at"]
        before = min(keep, first) if first else keep
        before = before.replace(hour=0, minute=0, second=0, microsecond=0)
        last = (
            sa.select(events.c.xid, events.c.id)
            .where(events.c.at < before)
            .order_by(events.c.xid.desc(), events.c.id.desc())
            .limit(1)
        )
        found = await self._all(last)
        if not found:
            return 0
        # The mark first: a token below it must be refused before its events are gone.
        mark = f"{found[0]['xid']}:{found[0]['id']}"
        await self._dialect.run(lambda c: put_setting(c, "feed_tail", mark))
        return await self._dialect.drop_events(before)

    async def make_room(self) -> None:
        """Prepare the days ahead for events."""
        await self._dialect.make_room()
