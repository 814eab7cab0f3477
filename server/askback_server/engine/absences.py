"""The absences of people: every replica knows those that are not over, and their prompts follow them.

The rules decide by what is in memory here, so that asking a prompt reads nothing more. Each replica reads
what has changed every `INTERVAL_SECONDS`. When an absence begins or was changed, one replica reviews the open
prompts that name the person, by commands (`ReviewAbsences`); the end of an absence is a time of each prompt.

A prompt that another replica asks at that moment may be asked without the absence: it knows it some seconds
later. So the prompts are reviewed again after `REPEAT`, which is longer than such a write can take.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import inf
from time import monotonic

from askback_server.domain.absence_rules import (
    AbsenceNotFound,
    AbsenceSetting,
    check_setting,
    end_absence,
    set_absence,
)
from askback_server.domain.absences import Absence, Absences
from askback_server.domain.electorate import ElectorateQuery
from askback_server.domain.errors import AskbackError, InvalidField, StorageUnavailable
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.domain.routing_commands import ReviewAbsences
from askback_server.engine.engine import Engine
from askback_server.engine.periodic import every
from askback_server.ports.absences import AbsencePage, AbsenceStore, Claim
from askback_server.ports.clock import DatabaseClock, is_id, uuid7
from askback_server.ports.people import PeopleStore
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import JobStore

_log = logging.getLogger("askback.server.engine")

INTERVAL_SECONDS = 2.0
"""Seconds between two reads of the changes of other replicas."""
OVERLAP = timedelta(minutes=10)
"""Each read goes back this far behind the one before. A row may appear 20 s after its time (the longest
statement), and after a failover times may be of another clock."""
REPEAT = timedelta(seconds=30)
"""Time after a change or a beginning after which the prompts are reviewed again."""
LEASE = timedelta(seconds=60)
"""For how long a replica may take for a review before another one does it again."""
AT_ONCE = 8
"""Absences reviewed at once."""
PAGE_SIZE = 100
"""Prompts of an absence that are read at once."""
CLEAN_EVERY = timedelta(hours=1)
KEEP = timedelta(days=400)
"""For how long an absence that is over stays stored."""


class KnownAbsences:
    """The absences of all namespaces that are not over, as far as this replica has read them."""

    def __init__(self, store: AbsenceStore, clock: DatabaseClock) -> None:
        self._store = store
        self._clock = clock
        self._by_id: dict[str, Absence] = {}
        self._read_at: datetime | None = None
        """When the last complete read began, by the database's clock."""
        self._loaded = -inf
        """The same by a clock that is never set back."""
        self.book = Absences()
        """Replaced with every change."""

    @property
    def all(self) -> Sequence[Absence]:
        """Each of them."""
        return tuple(self._by_id.values())

    async def load(self) -> None:
        """Read what has changed. Raises StorageUnavailable."""
        begun, at = self._clock.now(), monotonic()
        found = await self._store.list_since(self._read_at and self._read_at - OVERLAP)
        self._read_at, self._loaded = begun, at
        self.learn(found)

    async def keep_up(self) -> None:
        """Read what has changed if that was not done for `INTERVAL_SECONDS`. Raises StorageUnavailable."""
        if monotonic() - self._loaded >= INTERVAL_SECONDS:
            await self.load()

    def learn(self, found: Sequence[Absence]) -> None:
        """Take absences as they are stored now."""
        long_over = self._clock.now() - REPEAT - LEASE
        changed = False
        for each in found:
            if self._by_id.get(each.absence_id) != each:
                self._by_id[each.absence_id] = each
                changed = True
        for key in [
            key for key, each in self._by_id.items() if _last_change(each) < long_over >= each.until_at
        ]:
            del self._by_id[key]
            changed = True
        if changed:
            self.book = Absences.of(self._by_id.values())


def _last_change(absence: Absence) -> datetime:
    return absence.updated_at or absence.from_at


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
        self._jobs = jobs
        self._engine = engine
        self._clock = clock
        self._limits = limits
        self._reviewed: dict[str, datetime] = {}
        """By absence id: the time for which it is known to be reviewed."""
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

        return self._learn(await self._store.change(setting.namespace, decide))

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
            return self._learn(await self._store.change(namespace, decide))
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
        await every(0.0, self._tick, "absences")

    async def _tick(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL_SECONDS):
                await self._changed.wait()
        self._changed.clear()
        try:
            await self.update()
        except BaseException:
            await asyncio.sleep(INTERVAL_SECONDS)  # the database may be unavailable: do not spin
            raise

    async def update(self) -> None:
        """Read what has changed, and review what is due. Raises StorageUnavailable."""
        await self._known.load()
        now = self._clock.now()
        due = [(each, until) for each in self._known.all if (until := _due_review(each, now)) is not None]
        due = [(each, until) for each, until in due if not self._is_reviewed(each, until)]
        for start in range(0, len(due), AT_ONCE):
            reviews = (self._review_once(absence, until) for absence, until in due[start : start + AT_ONCE])
            for error in await asyncio.gather(*reviews, return_exceptions=True):
                if error is not None:
                    raise error
            await self._known.keep_up()
        known = {absence.absence_id for absence in self._known.all}
        self._reviewed = {key: at for key, at in self._reviewed.items() if key in known}
        if now >= self._clean_at:
            self._clean_at = now + CLEAN_EVERY
            await self._store.delete_over(now - KEEP)

    async def _review_once(self, absence: Absence, until: datetime) -> None:
        """Review the prompts for a time, unless another replica does it or has done it."""
        absence_id = absence.absence_id
        claim = await self._store.claim_review(absence_id, until, LEASE)
        if claim is Claim.BUSY:
            return
        if claim is Claim.GRANTED:
            if not await self._review(absence):
                return  # it is tried again after the lease
            await self._store.finish_review(absence_id, until)
        self._reviewed[absence_id] = until

    def _is_reviewed(self, absence: Absence, until: datetime) -> bool:
        done = self._reviewed.get(absence.absence_id)
        return done is not None and done >= until

    async def _review(self, absence: Absence) -> bool:
        """Review the jobs with an open prompt that names the person, by itself or as a substitute.

        Returns whether all could be reviewed. A job that cannot be does not keep the others from it. Raises
        StorageUnavailable."""
        is_complete = True
        filter, after = PromptFilter(absence.namespace, person=absence.subject), None
        while True:
            page = await self._jobs.list_prompts(filter, PAGE_SIZE, after, self._limits.page_bytes)
            # Together, so that the engine writes them as batches.
            jobs = sorted({prompt.job_id for prompt in page.prompts})
            done = await asyncio.gather(*(self._review_job(absence, each) for each in jobs))
            is_complete = is_complete and all(done)
            if page.next is None:
                return is_complete
            after = page.next
            await self._known.keep_up()

    async def _review_job(self, absence: Absence, job_id: str) -> bool:
        """Review the prompts of one job. Returns whether that was possible. Raises StorageUnavailable."""
        try:
            await self._engine.execute(ReviewAbsences(job_id=job_id))
        except StorageUnavailable:
            raise
        except AskbackError as error:
            _log.warning("absence of %s: job %s: %s", absence.subject, job_id, error.message)
            return False
        return True


def _due_review(absence: Absence, now: datetime) -> datetime | None:
    """The last time for which the prompts are to be reviewed: a change, a beginning or an end, or REPEAT
    after it. None: none was yet."""
    times = [time for time in (absence.from_at, absence.until_at) if time <= now]
    if absence.updated_at is not None:
        times.append(absence.updated_at)  # by the database's clock, of which `now` is an estimate
    times += [time + REPEAT for time in times if time + REPEAT <= now]
    return max(times, default=None)


class _Over(Exception):
    """The absence is over."""

    def __init__(self, absence: Absence) -> None:
        super().__init__()
        self.absence = absence
