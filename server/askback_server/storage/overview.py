"""Counts of what is open now: prompts, by the index of open prompts by age, and worker sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from askback_server.domain.overview import WaitingGroup
from askback_server.domain.principals import Principal
from askback_server.storage.age_classes import by_age, younger_counts
from askback_server.storage.hour_counts import HourCounts
from askback_server.storage.tables import prompts, sessions


class Overviews(HourCounts):
    """The OverviewStore port."""

    async def waiting(
        self, namespace: str, viewer: Principal | None, maximum: int
    ) -> tuple[Sequence[WaitingGroup], bool]:
        """Group by kind and priority. Without a viewer the index alone is read."""
        grouped = self.grouped_prompts(namespace, viewer, maximum, await self.now())
        p = prompts.c
        further = (
            sa.select(p.interaction_id)
            .where(p.namespace == namespace, p.responded_at.is_(None))
            .order_by(p.created_at)
            .offset(maximum)
            .limit(1)
        )
        return [_to_group(row) for row in await self._all(grouped)], bool(await self._all(further))

    def grouped_prompts(
        self, namespace: str, viewer: Principal | None, maximum: int, now: datetime
    ) -> sa.Select[Any]:
        """Count the oldest `maximum` open prompts by kind and priority."""
        few = self._open(namespace, viewer, maximum)
        return sa.select(
            few.c.interaction_type,
            few.c.priority,
            sa.func.count().label("n"),
            sa.func.count(few.c.unattended_since).label("unattended"),
            *younger_counts(few.c.created_at, now),
        ).group_by(few.c.interaction_type, few.c.priority)

    async def oldest(self, namespace: str, viewer: Principal | None, maximum: int, limit: int) -> list[str]:
        """Read from the begin of the index."""
        few = self._open(namespace, viewer, maximum)
        statement = (
            sa.select(few.c.interaction_id).order_by(few.c.created_at, few.c.interaction_id).limit(limit)
        )
        return [row["interaction_id"] for row in await self._all(statement)]

    def _open(self, namespace: str, viewer: Principal | None, maximum: int) -> sa.Subquery:
        """The oldest open prompts; of these, those that the viewer may see."""
        p = prompts.c
        columns = [p.interaction_id, p.interaction_type, p.priority, p.created_at, p.unattended_since]
        oldest = (
            sa.select(*columns, *([p.audience] if viewer is not None else []))
            .where(p.namespace == namespace, p.responded_at.is_(None))
            .order_by(p.created_at, p.interaction_id)
            .limit(maximum)
            .subquery("oldest")
        )
        if viewer is None or viewer.is_admin:
            return oldest
        texts = self._dialect.texts
        mine = self._dialect.is_for(oldest.c.audience, texts([viewer.subject]), texts(sorted(viewer.groups)))
        return sa.select(oldest).where(mine).subquery("seen")

    async def count_workers(self, namespace: str) -> int:
        """Count the rows that have not expired."""
        living = sa.select(sa.func.count().label("n")).where(
            sessions.c.namespace == namespace, sessions.c.expires_at > self._dialect.now()
        )
        return int((await self._all(living))[0]["n"])


def _to_group(row: Any) -> WaitingGroup:
    classes = by_age(row, row["n"])
    return WaitingGroup(row["interaction_type"], row["priority"], classes, row["unattended"])
