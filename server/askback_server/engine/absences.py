"""What people and admins set as absences, and the prompts that follow them.

Every replica knows the absences that are not over (`known_absences.py`), and reviews the open prompts that
they concern (`absence_reviews.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from askback_server.domain.absence_rules import (
    AbsenceNotFound,
    AbsenceSetting,
    check_setting,
    end_absence,
    set_absence,
)
from askback_server.domain.absences import Absence
from askback_server.domain.electorate import ElectorateQuery
from askback_server.domain.errors import InvalidField
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.engine.absence_reviews import AbsenceReviews
from askback_server.engine.engine import Engine
from askback_server.engine.known_absences import INTERVAL_SECONDS, KnownAbsences
from askback_server.engine.periodic import every
from askback_server.ports.absences import AbsencePage, AbsenceScope, AbsenceStore
from askback_server.ports.clock import DatabaseClock, is_id, uuid7
from askback_server.ports.people import PeopleStore
from askback_server.ports.storage import JobStore

_log = logging.getLogger("askback.server.engine")

PAUSE_SECONDS = 0.1
"""Seconds between two reviews: absences that are set one after the other are reviewed together."""
CLEAN_EVERY = timedelta(hours=1)
KEEP = timedelta(days=400)
"""For how long an absence that is over stays stored."""


class AbsenceKeeper:
    """Stores absences, keeps the known ones up to date, and reviews the prompts that they concern."""

    def __init__(
        self,
        store: AbsenceStore,
        known: KnownAbsences,
        people: PeopleStore,
        jobs: JobStore,
        engine: Engine,
        clock: DatabaseClock,
        limits: Limits,
    ) -> None:
        """The engine is given the same `known`, which is therefore made before both."""
        self._store = store
        self._known = known
        self._people = people
        self._clock = clock
        self._limits = limits
        self._reviews = AbsenceReviews(store, known, jobs, engine, clock, limits)
        self._clean_at = clock.now() + CLEAN_EVERY
        self._changed = asyncio.Event()
        """Set when this replica has changed an absence: then the prompts follow at once."""

    async def set_absence(self, principal: Principal, setting: AbsenceSetting) -> Absence:
        """Store an absence of the caller, or as an admin of another person. Returns it.

        Raises PermissionDenied, InvalidField, AbsenceNotFound, StorageUnavailable.
        """
        self._require(principal, setting.subject)
        check_setting(setting, self._limits)
        if setting.absence_id and not is_id(setting.absence_id):
            raise AbsenceNotFound(setting.absence_id)
        if setting.substitute and not await self._is_active(setting.namespace, setting.substitute):
            message = f"the directory has no active person {setting.substitute!r}"
            raise InvalidField.of("substitute", message)
        new_id = uuid7()

        def decide(known: Sequence[Absence], now: datetime) -> Absence:
            return set_absence(setting, known, now, self._limits, new_id, principal.subject)

        scope = AbsenceScope(setting.namespace, setting.subject, setting.substitute, setting.until_at)
        return self._learn(await self._store.change(scope, decide))

    async def delete_absence(self, principal: Principal, namespace: str, absence_id: str) -> Absence:
        """End an absence now, or before it begins. Returns it. One that is over stays as it is.

        Raises PermissionDenied, AbsenceNotFound, StorageUnavailable.
        """
        principal.require(Role.CONSOLE)
        found = await self._store.find(namespace, absence_id) if is_id(absence_id) else None
        if found is None or (found.subject != principal.subject and not principal.is_admin):
            raise AbsenceNotFound(absence_id)

        def decide(known: Sequence[Absence], now: datetime) -> Absence:
            mine = next((each for each in known if each.absence_id == absence_id), None)
            if mine is None:
                raise _Over(found)
            return end_absence(mine, now)

        try:
            return self._learn(await self._store.change(AbsenceScope(namespace, found.subject), decide))
        except _Over as over:
            return over.absence

    async def list_absences(
        self, principal: Principal, page: AbsencePage, limit: int, after: str
    ) -> Sequence[Absence]:
        """Absences by id. Raises PermissionDenied, StorageUnavailable."""
        principal.require(Role.CONSOLE, Role.CLIENT, Role.WORKER)
        return await self._store.list_absences(page, limit, after)

    def _require(self, principal: Principal, subject: str) -> None:
        principal.require(Role.CONSOLE)
        if subject != principal.subject:
            principal.require(Role.ADMIN)

    async def _is_active(self, namespace: str, subject: str) -> bool:
        query = ElectorateQuery(namespace, people=frozenset({subject}))
        return subject in (await self._people.read_electorate([query])).people.get(namespace, {})

    def _learn(self, absence: Absence) -> Absence:
        self._known.learn([absence])
        self._changed.set()
        return absence

    async def run(self) -> None:
        """Read changes and review prompts until cancelled. Errors are logged."""
        await every(PAUSE_SECONDS, self._tick, "absences")

    async def _tick(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL_SECONDS):
                await self._changed.wait()
        self._changed.clear()
        try:
            await self._known.keep_up()
            await self._follow()
        except BaseException:
            await asyncio.sleep(INTERVAL_SECONDS)  # the database may be unavailable: do not spin
            raise

    async def update(self) -> None:
        """Read what has changed, and review what is due. Raises StorageUnavailable."""
        await self._known.load()
        await self._follow()

    async def _follow(self) -> None:
        await self._reviews.review_due()
        now = self._clock.now()
        if now >= self._clean_at:
            self._clean_at = now + CLEAN_EVERY
            await self._store.delete_over(now - KEEP)


class _Over(Exception):
    """The absence is over."""

    def __init__(self, absence: Absence) -> None:
        super().__init__()
        self.absence = absence
