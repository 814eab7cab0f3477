"""Absences in the simulated database: changes that replicas see late, and reviews that one replica claims."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from askback_server.domain.absences import Absence
from askback_server.ports.absences import AbsencePage, AbsenceScope, ChangeAbsences, Claim
from tests.simulate.virtual_time import LoopClock


@dataclass
class _Review:
    """For which time an absence was reviewed, and until when a replica does it."""

    until: datetime | None = None
    leased: datetime | None = None


class SimulatedAbsences:
    """Implements the AbsenceStore port. A change is visible after the time it says; reads may be late."""

    def __init__(
        self,
        seed: int,
        pause: Callable[[], Awaitable[None]],
        on_granted: Callable[[asyncio.Task[Any] | None], None],
    ) -> None:
        """`on_granted` is told of the task that has claimed a review."""
        self._rng = Random(f"{seed} absences")
        self._pause, self._on_granted = pause, on_granted
        self._clock = LoopClock()
        self._lock = asyncio.Lock()
        self._reviews: dict[str, _Review] = {}
        self.stored: dict[str, Absence] = {}
        self._pairs: set[tuple[str, str]] = set()
        """The person and the substitute of every absence that was ever stored."""

    async def change(self, scope: AbsenceScope, decide: ChangeAbsences) -> Absence:
        await self._pause()
        async with self._lock:
            now = self._clock.now()
            wanted = decide(self._current(scope.namespace), now)
            before = self.stored.get(wanted.absence_id)
            if before == wanted:
                return wanted
            made = now if before is None else before.created_at
            wanted = replace(wanted, created_at=made, updated_at=now)
            await self._pause()  # until the commit
            self.stored[wanted.absence_id] = wanted
            self._pairs.add((wanted.subject, wanted.substitute))
        await self._pause()
        return wanted

    def has_been(self, subject: str, substitute: str) -> bool:
        """Whether there has been an absence of a person with a substitute."""
        return (subject, substitute) in self._pairs

    def _current(self, namespace: str) -> list[Absence]:
        now = self._clock.now()
        found = [a for a in self.stored.values() if a.namespace == namespace and a.until_at > now]
        return sorted(found, key=lambda each: (each.from_at, each.absence_id))

    async def list_since(self, time: datetime | None) -> Sequence[Absence]:
        await self._pause()
        now = self._clock.now()
        found = [a for a in self.stored.values() if (a.until_at > now if time is None else _since(a, time))]
        await self._pause()
        if self._rng.random() < 0.05:
            await asyncio.sleep(self._rng.uniform(0.0, 3.0))  # the reply is late, and outdated
        return found

    async def list_absences(self, page: AbsencePage, limit: int, after: str) -> Sequence[Absence]:
        raise AssertionError("no one lists absences here")

    async def find(self, namespace: str, absence_id: str) -> Absence | None:
        await self._pause()
        return self.stored.get(absence_id)

    async def claim_reviews(self, until: Mapping[str, datetime], lease: timedelta) -> Mapping[str, Claim]:
        await self._pause()
        now, claims = self._clock.now(), dict.fromkeys(until, Claim.DONE)
        for absence_id in (each for each in sorted(until) if each in self.stored):
            review = self._reviews.setdefault(absence_id, _Review())
            if review.until is None or review.until < until[absence_id]:
                is_free = review.leased is None or review.leased <= now
                claims[absence_id] = Claim.GRANTED if is_free else Claim.BUSY
                review.leased = now + lease if is_free else review.leased
        await self._pause()
        if Claim.GRANTED in claims.values():
            self._on_granted(asyncio.current_task())
        return claims

    async def finish_reviews(self, until: Mapping[str, datetime]) -> None:
        await self._pause()
        for absence_id, time in until.items():
            self._reviews[absence_id] = _Review(until=time)
        await self._pause()

    async def delete_over(self, before: datetime) -> int:
        await self._pause()
        return 0


def _since(absence: Absence, time: datetime) -> bool:
    return absence.updated_at is not None and absence.updated_at >= time
