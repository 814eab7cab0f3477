"""Presence of consoles: one row per replica, rewritten when its consoles change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from askback_server.domain.content import Audience
from askback_server.domain.prompts import Prompt
from askback_server.ports.queries import PromptFilter
from askback_server.storage import rows
from askback_server.storage.prompt_lists import URGENCY, prompt_conditions
from askback_server.storage.reader import Reader
from askback_server.storage.tables import presence, prompts


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
        living = presence.c.expires_at > self._dialect.now()
        found = await self._all(sa.select(presence.c.replica_id, presence.c.seq).where(living))
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
        has_any, audience = self._dialect.has_any, prompts.c.audience
        named = [has_any(audience, "users", sorted(people.users))]
        if people.groups:
            named.append(has_any(audience, "groups", sorted(people.groups)))
        conditions = [*prompt_conditions(self._dialect, filter), sa.or_(audience.is_(None), *named)]
        if after:
            conditions.append(prompts.c.interaction_id > after)
        return await self._prompts(
            sa.select(prompts).where(*conditions).order_by(prompts.c.interaction_id).limit(limit)
        )

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
        return await self._prompts(statement)

    async def _prompts(self, statement: sa.Select[Any]) -> Sequence[Prompt]:
        return [rows.to_prompt(r) for r in await self._all(statement)]
