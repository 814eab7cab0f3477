"""Stores that the schedules do not judge. They answer as if there were nothing to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from askback_server.domain.electorate import Electorate, ElectorateQuery
from askback_server.domain.prompts import Prompt
from askback_server.domain.stored_jobs import StoredJob
from askback_server.ports.checkpoints import CheckpointMark, HeadPage, StoredCheckpoint
from askback_server.ports.overview import CountMark, CountPage
from askback_server.ports.sign_outs import StoredSignOut
from askback_server.ports.storage import JobWrite, Position

_NO_GROUPS = frozenset[str]()


class IdleStores:
    """Queue locks, sign-outs, absences, counts by the hour, and presence. `pause` takes the time of a
    statement."""

    def __init__(self, pause: Callable[[], Awaitable[None]]) -> None:
        self._pause = pause

    # --- queue locks: always held elsewhere, so nothing is purged ---

    async def acquire(self, namespace: str, job_type: str, maximum: int, lasts: float) -> None:
        await self._pause()

    async def release(self, lock: Any) -> None:
        await self._pause()

    # --- sign-outs: not used here ---

    async def list_since(self, time: datetime | None) -> Sequence[StoredSignOut]:
        return []

    async def delete_expired(self) -> int:
        return 0

    # --- the directory of people: knows no members of groups, and every person that is asked for ---

    async def read_electorate(self, queries: Sequence[ElectorateQuery]) -> Electorate:
        await self._pause()
        return Electorate(people={each.namespace: dict.fromkeys(each.people, _NO_GROUPS) for each in queries})

    # --- the audit: no receipt is asked for ---

    async def stored_job(self, job_id: str) -> StoredJob:
        await self._pause()
        return StoredJob(job_id, None, ())

    # --- counts by the hour: another replica is always faster ---

    async def mark(self) -> CountMark:
        await self._pause()
        return CountMark(Position(), None)

    async def count_after(self, position: Position, limit: int) -> CountPage:
        await self._pause()
        return CountPage((), CountMark(position, None), more=False)

    async def add(self, before: CountMark, page: CountPage) -> bool:
        await self._pause()
        return False

    async def delete_before(self, time: datetime) -> int:
        await self._pause()
        return 0

    # --- presence: not used here ---

    async def publish(self, replica_id: str, version: int, views: Sequence[str], ttl: float) -> None:
        await self._pause()

    async def extend(self, replica_id: str, ttl: float) -> bool:
        await self._pause()
        return True

    async def versions(self) -> dict[str, int]:
        await self._pause()
        return {}

    async def views(self, replica_ids: Sequence[str]) -> dict[str, tuple[int, Sequence[str]]]:
        await self._pause()
        return {}

    async def list_unattended(self, *_: Any) -> list[Prompt]:
        await self._pause()
        return []

    async def list_attended(self, namespace: str, limit: int) -> list[Prompt]:
        await self._pause()
        return []


class IdleRules:
    """Rules: there are none, and to read that takes no time, so schedules stay what their seeds made."""

    async def read_versions(self) -> Mapping[str, int]:
        return {}

    def hold(self, write: JobWrite) -> bool:
        return True

    def commit(self, write: JobWrite) -> None:
        pass


class IdleCheckpoints:
    """Checkpoints: another replica is always faster."""

    async def mark(self) -> CheckpointMark:
        return CheckpointMark(Position(), None)

    async def heads_after(self, position: Position, limit: int) -> HeadPage:
        return HeadPage((), position, more=False)

    async def newest(self, namespaces: Collection[str]) -> Mapping[str, tuple[int, str]]:
        return {}

    async def add(
        self, before: CheckpointMark, after: CheckpointMark, made: Sequence[StoredCheckpoint]
    ) -> bool:
        return False

    async def delete_before(self, time: datetime) -> int:
        return 0
