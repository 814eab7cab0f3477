"""Storage of the figures of a namespace: counts by the hour, and counts of open prompts.

The counts come from the event log, which is read once, by position. A replica reads a page of the log, then
adds its counts and moves the position in one transaction. That transaction changes nothing if another replica
has moved the position meanwhile. So each event is counted once, and in the hour in which it happened, no
matter when and at which replica.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from askback_server.domain.overview import Measure, WaitingGroup, Window
from askback_server.domain.principals import Principal
from askback_server.ports.storage import Position


@dataclass(frozen=True, slots=True)
class CountMark:
    """How far the log is counted."""

    position: Position
    until: datetime | None
    """Events until about this time are counted; None at first."""


@dataclass(frozen=True, slots=True)
class HourCount:
    """How often one thing happened in an hour."""

    namespace: str
    hour: datetime
    job_type: str
    kind: str
    measure: Measure
    bucket: int
    """Of the answer times (see `BOUNDS`); 0 for other measures."""
    n: int


@dataclass(frozen=True, slots=True)
class CountPage:
    """The counts of a page of the log."""

    counts: Sequence[HourCount]
    mark: CountMark
    more: bool
    """Whether the log goes on."""


class OverviewStore(Protocol):
    """Counts by the hour, and of what is open now."""

    async def now(self) -> datetime:
        """The database's time. Raises StorageUnavailable."""

    async def mark(self) -> CountMark:
        """How far the log is counted."""

    async def count_after(self, position: Position, limit: int) -> CountPage:
        """Count the settled events after a position, `limit` at most. Changes nothing."""

    async def add(self, before: CountMark, page: CountPage) -> bool:
        """Add the counts of a page that was read at the mark `before`, and move the mark.

        False, and nothing is changed, if the mark is another one by now.
        """

    async def delete_before(self, time: datetime) -> int:
        """Delete the counts of hours before a time. Returns how many rows."""

    async def by_point(self, namespace: str, window: Window) -> Sequence[tuple[int, Measure, int, int]]:
        """(number of the step, measure, bucket, count) of a window."""

    async def by_type(self, namespace: str, window: Window) -> Sequence[tuple[str, str, Measure, int, int]]:
        """(job type, kind, measure, bucket, count) of a window."""

    async def waiting(
        self, namespace: str, viewer: Principal | None, maximum: int
    ) -> tuple[Sequence[WaitingGroup], bool]:
        """Count the oldest `maximum` open prompts of a namespace: all, or those that a viewer may see.

        Also returns whether there are more than `maximum`.
        """

    async def oldest(self, namespace: str, viewer: Principal | None, maximum: int, limit: int) -> list[str]:
        """The ids of the oldest `limit` of these prompts, the oldest first."""

    async def count_workers(self, namespace: str) -> int:
        """The number of worker sessions that have not expired."""
