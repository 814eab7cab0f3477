"""The absences of all namespaces that are not over, as far as this replica has read them.

The rules decide by what is in memory here, so that asking a prompt reads nothing more. Each replica reads
what has changed every `INTERVAL_SECONDS`. What a change costs does not depend on how many absences there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import inf
from time import monotonic

from askback_server.domain.absences import Absence, Absences
from askback_server.ports.absences import AbsenceStore
from askback_server.ports.clock import DatabaseClock

INTERVAL_SECONDS = 2.0
"""Seconds between two reads of the changes of other replicas."""
OVERLAP = timedelta(seconds=30)
"""Each read goes back this far behind the one before: a row may appear 20 s after its time (the longest
statement)."""
LONG_OVERLAP = timedelta(minutes=10)
"""The same of a read every `LONG_INTERVAL_SECONDS`: after a failover times may be of another clock."""
LONG_INTERVAL_SECONDS = 60.0
KEEP = timedelta(seconds=90)
"""For how long an absence that is over is known: until its prompts have been reviewed."""


class KnownAbsences:
    """The absences that are not over, by person. `book` is what rules read; it follows each change."""

    def __init__(self, store: AbsenceStore, clock: DatabaseClock) -> None:
        self._store = store
        self._clock = clock
        self._by_id: dict[str, Absence] = {}
        self._by_person: dict[tuple[str, str], Sequence[Absence]] = {}
        self._changed: set[str] = set()
        self._read_at: datetime | None = None
        """When the last complete read began, by the database's clock."""
        self._loaded = self._loaded_long = -inf
        """The same, and that of the last one with LONG_OVERLAP, by a clock that is never set back."""
        self.book = Absences(self._by_person)

    @property
    def all(self) -> Sequence[Absence]:
        """Each of them."""
        return tuple(self._by_id.values())

    def get(self, absence_id: str) -> Absence | None:
        """One of them by its id."""
        return self._by_id.get(absence_id)

    def take_changed(self) -> set[str]:
        """The ids of those that have changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    async def load(self) -> None:
        """Read what has changed. Raises StorageUnavailable."""
        begun, at = self._clock.now(), monotonic()
        is_long = at - self._loaded_long >= LONG_INTERVAL_SECONDS
        overlap = LONG_OVERLAP if is_long else OVERLAP
        found = await self._store.list_since(self._read_at and self._read_at - overlap)
        self._read_at, self._loaded = begun, at
        self.learn(found)
        if is_long:
            self._loaded_long = at
            self.learn(self.all)  # forgets those that are over

    async def keep_up(self) -> None:
        """Read what has changed if that was not done for `INTERVAL_SECONDS`. Raises StorageUnavailable."""
        if monotonic() - self._loaded >= INTERVAL_SECONDS:
            await self.load()

    def learn(self, found: Iterable[Absence]) -> None:
        """Take absences as they are stored now."""
        long_over = self._clock.now() - KEEP
        for each in found:
            if _last_change(each) < long_over >= each.until_at:
                self._put(each, ())
                self._by_id.pop(each.absence_id, None)
            elif self._by_id.get(each.absence_id) != each:
                self._put(each, (each,))
                self._by_id[each.absence_id] = each
                self._changed.add(each.absence_id)

    def _put(self, absence: Absence, now: tuple[Absence, ...]) -> None:
        """Replace an absence among those of its person, of which there are few."""
        key = absence.namespace, absence.subject
        others = [each for each in self._by_person.get(key, ()) if each.absence_id != absence.absence_id]
        self._by_person |= Absences.of([*others, *now]).by_person
        if not others and not now:
            self._by_person.pop(key, None)


def _last_change(absence: Absence) -> datetime:
    return absence.updated_at or absence.from_at
