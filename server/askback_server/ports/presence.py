"""Who is there: the consoles that each replica serves, for the others to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from askback_server.domain.prompts import Prompt


class PresenceStore(Protocol):
    """One row for each replica with what its consoles look at. Times are the database's."""

    async def publish(self, replica_id: str, version: int, views: Sequence[str], ttl: float) -> None:
        """These are the replica's views, for `ttl` seconds; rows that have expired go."""

    async def extend(self, replica_id: str, ttl: float) -> bool:
        """The replica's views are as they were. False if its row is gone: publish them again."""

    async def versions(self) -> Mapping[str, int]:
        """The version of each replica's views, of those that have not expired."""

    async def views(self, replica_ids: Sequence[str]) -> Mapping[str, tuple[int, Sequence[str]]]:
        """Version and views of some replicas."""

    async def list_unattended(self, namespace: str, after: str, limit: int) -> Sequence[Prompt]:
        """Open prompts that nobody was there for, by id above `after`."""

    async def list_attended(self, namespace: str, limit: int) -> Sequence[Prompt]:
        """Open prompts that somebody was there for, the most urgent."""
