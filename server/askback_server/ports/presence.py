"""Storage of presence: the views of the consoles at each replica. See `engine/presence.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from askback_server.domain.content import Audience
from askback_server.domain.prompts import Prompt
from askback_server.ports.queries import PromptFilter


class PresenceStore(Protocol):
    """One row per replica with the views of its consoles. Times are the database's."""

    async def publish(self, replica_id: str, version: int, views: Sequence[str], ttl: float) -> None:
        """Store the replica's views for `ttl` seconds, and delete expired rows."""

    async def extend(self, replica_id: str, ttl: float) -> bool:
        """Extend the replica's row. False if it no longer exists: publish the views again."""

    async def versions(self) -> Mapping[str, int]:
        """The version of each replica's views; expired rows are left out."""

    async def views(self, replica_ids: Sequence[str]) -> Mapping[str, tuple[int, Sequence[str]]]:
        """Version and views of some replicas."""

    async def list_unattended(
        self, filter: PromptFilter, people: Audience, after: str, limit: int
    ) -> Sequence[Prompt]:
        """Open prompts marked unattended that match, and that everyone or some of the people may answer; by
        id above `after`."""

    async def list_attended(self, namespace: str, limit: int) -> Sequence[Prompt]:
        """Open prompts not marked unattended, most urgent first."""
