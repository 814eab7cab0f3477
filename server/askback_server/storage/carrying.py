"""Read what a retry can carry over from an ended job, and what an earlier retry carried over to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import sqlalchemy as sa

from askback_server.domain.documents import resolution_from_json
from askback_server.domain.jobs import Job
from askback_server.domain.retries import CarriedAnswer, KeptAnswer, KeptCheckpoint, answer_to_keep
from askback_server.ports.storage import Wanted
from askback_server.storage.carried_rows import to_carried
from askback_server.storage.reader import Reader
from askback_server.storage.tables import carried_answers, checkpoints, prompts

_PAGE_SIZE = 200
"""Rows per read: answers may be large, and each is dropped as soon as it is checked."""


class Carrying(Reader):
    """The part of the JobStore that serves retries."""

    async def list_kept_answers(self, job_id: str) -> list[KeptAnswer]:
        """See JobStore."""
        asked: set[str] = set()
        kept: list[KeptAnswer] = []
        mine = prompts.c.interaction_id, prompts.c.key, prompts.c.response_data
        async for row in self._by_key(sa.select(*mine).where(prompts.c.job_id == job_id), prompts.c.key):
            asked.add(row["key"])
            if row["response_data"]:
                resolution = resolution_from_json(row["response_data"])
                if answer := answer_to_keep(row["key"], row["interaction_id"], job_id, resolution):
                    kept.append(answer)
        before = sa.select(carried_answers).where(carried_answers.c.job_id == job_id)
        async for row in self._by_key(before, carried_answers.c.key):
            if row["key"] not in asked:
                resolution, source = resolution_from_json(row["response"]), row["from_job_id"]
                if answer := answer_to_keep(row["key"], row["prompt_id"], source, resolution):
                    kept.append(answer)
        return sorted(kept, key=lambda answer: answer.key)

    async def list_kept_checkpoints(self, job_id: str) -> list[KeptCheckpoint]:
        """See JobStore."""
        mine = sa.select(checkpoints.c.key, checkpoints.c.created_at).where(checkpoints.c.job_id == job_id)
        found = self._by_key(mine, checkpoints.c.key)
        return [KeptCheckpoint(row["key"], row["created_at"]) async for row in found]

    async def _by_key(self, statement: sa.Select[Any], key: sa.Column[str]) -> AsyncIterator[Any]:
        """All rows in key order, read page by page."""
        page, after = statement.order_by(key).limit(_PAGE_SIZE), None
        while True:
            found = await self._all(page if after is None else page.where(key > after))
            for row in found:
                yield row
            if len(found) < _PAGE_SIZE:
                return
            after = found[-1]["key"]

    async def _carried_of(
        self, found: Iterable[Job], wanted: Iterable[Wanted]
    ) -> dict[str, dict[str, CarriedAnswer]]:
        """The carried answers for the wanted keys, by job id and key."""
        ids = [job.job_id for job in found if job.carried_answers]
        keys = sorted({key for w in wanted for key in w.keys})
        if not ids or not keys:
            return {}
        theirs = self._dialect.among(carried_answers.c.job_id, ids)
        statement = sa.select(carried_answers).where(theirs, self._dialect.among(carried_answers.c.key, keys))
        carried: dict[str, dict[str, CarriedAnswer]] = {}
        for row in await self._all(statement):
            carried.setdefault(row["job_id"], {})[row["key"]] = to_carried(row)
        return carried
