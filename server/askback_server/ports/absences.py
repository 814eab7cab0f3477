"""Storage of the absences of people. See `engine/absences.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from askback_server.domain.absences import Absence

ChangeAbsences = Callable[[Sequence[Absence], datetime], Absence]
"""(the absences of the namespace that are not over, the database's time): the one to store."""


class Claim(Enum):
    """The result of a replica's attempt to review an absence."""

    GRANTED = auto()
    BUSY = auto()
    """Another replica reviews it."""
    DONE = auto()
    """It has been reviewed."""


@dataclass(frozen=True, slots=True)
class AbsencePage:
    """Which absences of a namespace to list: those of one person or of all, also those that are over."""

    namespace: str
    subject: str = ""
    include_past: bool = False


class AbsenceStore(Protocol):
    """One row per absence. A row is never deleted before it is long over."""

    async def change(self, namespace: str, decide: ChangeAbsences) -> Absence:
        """Insert or update one absence in a transaction that has read those of the namespace. Returns it as
        stored. Errors of `decide` are raised. Raises StorageUnavailable."""

    async def list_since(self, time: datetime | None) -> Sequence[Absence]:
        """The absences that were changed at or after a time; None: those that are not over. Raises
        StorageUnavailable."""

    async def list_absences(self, page: AbsencePage, limit: int, after: str) -> Sequence[Absence]:
        """Absences with an id behind `after`, by id. Raises StorageUnavailable."""

    async def find(self, namespace: str, absence_id: str) -> Absence | None:
        """One absence. Raises StorageUnavailable."""

    async def claim_review(self, absence_id: str, until: datetime, lease: timedelta) -> Claim:
        """Claim the review of an absence that is to cover a time, for as long as the lease. Raises
        StorageUnavailable."""

    async def finish_review(self, absence_id: str, until: datetime) -> None:
        """Store that an absence was reviewed for a time. Raises StorageUnavailable."""

    async def delete_over(self, before: datetime) -> int:
        """Delete absences that ended before a time. Returns how many. Raises StorageUnavailable."""
