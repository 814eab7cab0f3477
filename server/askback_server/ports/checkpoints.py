"""Storage of the checkpoints over the chains of jobs.

Like the counts by the hour (ports/overview.py), checkpoints are made from the log by position: a replica
reads the heads after the stored position, then stores the checkpoints and the new position in one
transaction, which changes nothing if another replica has moved the position meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from askback_server.domain.checkpoints import Checkpoint, Head
from askback_server.ports.storage import Position


@dataclass(frozen=True, slots=True)
class CheckpointMark:
    """How far checkpoints cover the log, and when the last ones were made."""

    position: Position
    at: datetime | None
    """None: there are none yet."""


@dataclass(frozen=True, slots=True)
class HeadPage:
    """The newest event of each job in a part of the log."""

    heads: Sequence[tuple[str, Head]]
    """(namespace, head)."""
    end: Position
    more: bool
    """Whether the log goes on."""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint with its statement, and its packed heads."""

    checkpoint: Checkpoint
    statement: str
    """The payload, signed; the payload itself without a key."""
    heads: bytes


class CheckpointStore(Protocol):
    """Checkpoints, and the log that they cover."""

    async def mark(self) -> CheckpointMark:
        """How far checkpoints cover the log. Raises StorageUnavailable."""

    async def heads_after(self, position: Position, limit: int) -> HeadPage:
        """The heads of the settled events after a position, `limit` events at most."""

    async def newest(self, namespaces: Collection[str]) -> Mapping[str, tuple[int, str]]:
        """(number, statement) of the newest checkpoint of each namespace that has one."""

    async def add(
        self, before: CheckpointMark, after: CheckpointMark, made: Sequence[StoredCheckpoint]
    ) -> bool:
        """Store checkpoints and move the mark. False, and nothing is changed, if it is another one by now."""

    async def delete_before(self, time: datetime) -> int:
        """Delete the checkpoints from before a time. Returns how many."""
