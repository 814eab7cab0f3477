"""Storage of the absences of people. See `engine/absences.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from askback_server.domain.absences import Absence

ChangeAbsences = Callable[[Sequence[Absence], datetime], Absence]
"""(those of the scope that are not over, the database's time): the one to store."""


class Claim(Enum):
    """The result of a replica's attempt to review an absence."""

    GRANTED = auto()
    BUSY = auto()
    """Another replica reviews it."""
    DONE = auto()
    """It has been reviewed."""


@dataclass(frozen=True, slots=True)
class AbsenceScope:
    """What a change of an absence depends on: the others of the person, and those of substitutes."""

    namespace: str
    subject: str
    substitute: str = ""
    """Who is to stand in. Empty: no one, so no circle can be closed."""
    until_at: datetime | None = None
    """With a substitute: when the absence is to end. Those that begin later form no circle with it."""


@dataclass(frozen=True, slots=True)
class AbsencePage:
    """Which absences of a namespace to list: those of one person or of all, also those that are over."""

    namespace: str
    subject: str = ""
    include_past: bool = False


class AbsenceStore(Protocol):
    """One row per absence. A row is never deleted before it is long over."""

    async def change(self, scope: AbsenceScope, decide: ChangeAbsences) -> Absence:
        """Insert or update one absence in a transaction that has read those on which it depends. Returns it
        as stored. Errors of `decide` are raised. Raises StorageUnavailable."""

    async def list_since(self, time: datetime | None) -> Sequence[Absence]:
        """The absences that were changed at or after a time; None: those that are not over. Raises
        StorageUnavailable."""

    async def list_absences(self, page: AbsencePage, limit: int, after: str) -> Sequence[Absence]:
        """Absences with an id behind `after`, by id. Raises StorageUnavailable."""

    async def find(self, namespace: str, absence_id: str) -> Absence | None:
        """One absence. Raises StorageUnavailable."""

    async def claim_reviews(self, until: Mapping[str, datetime], lease: timedelta) -> Mapping[str, Claim]:
        """Claim the reviews of absences, each of which is to cover a time, for as long as the lease. Both
        mappings are by absence id. Raises StorageUnavailable."""

    async def finish_reviews(self, until: Mapping[str, datetime]) -> None:
        """Store for which time each absence was reviewed. Raises StorageUnavailable."""

    async def delete_over(self, before: datetime) -> int:
        """Delete absences that ended before a time. Returns how many. Raises StorageUnavailable."""
