"""Presence of consoles: one row per replica, rewritten when its consoles change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa

from askback_server.domain.content import Audience
from askback_server.domain.prompts import Prompt
from askback_server.ports.queries import PromptFilter
from askback_server.storage import rows
from askback_server.storage.dialect import Dialect
from askback_server.storage.prompt_conditions import conditions_of, where_all
from askback_server.storage.prompt_lists import URGENCY
from askback_server.storage.reader import MOST, Reader, named
from askback_server.storage.replica_tables import presence
from askback_server.storage.tables import prompts

FIRST_ID = "00000000-0000-0000-0000-000000000000"
"""Before all ids."""


@cache
def _versions(kind: type[Dialect]) -> sa.Select[Any]:
    """The versions of the rows that have not expired."""
    living = presence.c.expires_at > kind.time("now")
    return sa.select(presence.c.replica_id, presence.c.seq).where(living)


@lru_cache(maxsize=64)
def _unattended(kind: type[Dialect], conditions: tuple[str, ...]) -> sa.Select[Any]:
    """The first `most` prompts with an id above `after`, for all people, or for one of these people."""
    c = prompts.c
    people = kind.named_texts("people"), kind.named_texts("people_groups")
    mine = sa.and_(kind.is_for(c.audience, *people), sa.not_(kind.is_excluded(c.audience, *people)))
    return (
        sa.select(prompts)
        .where(*where_all(kind, conditions), mine, c.interaction_id > named("after", c.interaction_id))
        .order_by(c.interaction_id)
        .limit(MOST)
    )


class Presences(Reader):
    """The PresenceStore port."""

    async def publish(self, replica_id: str, version: int, views: Sequence[str], ttl: float) -> None:
        """Replace the replica's row."""
        mine = presence.c.replica_id == replica_id
        gone = sa.delete(presence).where(sa.or_(mine, presence.c.expires_at <= self._dialect.now()))
        row = sa.insert(presence).values(
            replica_id=replica_id,
            seq=version,
            views=json.dumps(list(views)),
            expires_at=self._dialect.later(ttl),
        )

        def work(connection: sa.Connection) -> None:
            connection.execute(gone)
            connection.execute(row)

        await self._dialect.run(work)

    async def extend(self, replica_id: str, ttl: float) -> bool:
        """Extend the row without writing the views again. False if it has expired."""
        statement = (
            sa.update(presence)
            .where(presence.c.replica_id == replica_id, presence.c.expires_at > self._dialect.now())
            .values(expires_at=self._dialect.later(ttl))
        )
        count: int = await self._dialect.run(lambda c: c.execute(statement).rowcount)
        return count == 1

    async def versions(self) -> Mapping[str, int]:
        """The version of each replica's views, for rows that have not expired."""
        found = await self._look_up(_versions(type(self._dialect)), **self._dialect.give_time("now"))
        return {r["replica_id"]: r["seq"] for r in found}

    async def views(self, replica_ids: Sequence[str]) -> Mapping[str, tuple[int, Sequence[str]]]:
        """Version and views of these replicas."""
        found = await self._all(
            sa.select(presence).where(self._dialect.among(presence.c.replica_id, replica_ids))
        )
        return {r["replica_id"]: (r["seq"], json.loads(r["views"])) for r in found}

    async def list_unattended(
        self, filter: PromptFilter, people: Audience, after: str, limit: int
    ) -> Sequence[Prompt]:
        """Read by the index of unattended prompts."""
        conditions, values = conditions_of(self._dialect, filter)
        statement = _unattended(type(self._dialect), conditions)
        values |= {"people": sorted(people.users), "people_groups": sorted(people.groups)}
        found = await self._list(statement, {**values, "after": after or FIRST_ID, "most": limit})
        return [rows.to_prompt(row) for row in found]

    async def list_attended(self, namespace: str, limit: int) -> Sequence[Prompt]:
        """Read by the index of the inbox."""
        statement = (
            sa.select(prompts)
            .where(
                prompts.c.namespace == namespace,
                prompts.c.responded_at.is_(None),
                prompts.c.unattended_since.is_(None),
            )
            .order_by(*URGENCY)
            .limit(limit)
        )
        return [rows.to_prompt(row) for row in await self._all(statement)]
