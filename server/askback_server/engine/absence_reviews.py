"""Reviews of the open prompts that absences concern.

When an absence begins or was changed, one replica reviews the open prompts that name the person, by commands
(`ReviewAbsences`); the end of an absence is a time of each prompt. An absence is changed also when its person
or the substitute becomes active or inactive.

A prompt that another replica asks at that moment may be asked without the absence: it knows it some seconds
later. So the prompts are reviewed again after `REPEAT`, which is longer than such a write can take.

Absences are reviewed together, because a review reads the open prompts of the namespace.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from askback_server.domain.absences import Absence
from askback_server.domain.delegations import Delegations
from askback_server.domain.errors import AskbackError, StorageUnavailable
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import Prompt
from askback_server.domain.routing_commands import ReviewAbsences
from askback_server.engine.engine import Engine
from askback_server.engine.known_absences import KnownAbsences
from askback_server.ports.absences import AbsenceStore, Claim
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import JobStore

_log = logging.getLogger("askback.server.engine")

REPEAT = timedelta(seconds=30)
"""Time after a change or a beginning after which the prompts are reviewed again."""
LEASE = timedelta(seconds=60)
"""For how long a replica may take for a review before another one does it again."""
AT_ONCE = 100
"""Absences of a namespace reviewed together."""
PAGE_SIZE = 100
"""Prompts of such absences that are read at once."""


class AbsenceReviews:
    """Finds the absences that are due for a review, and reviews their prompts unless another replica does."""

    def __init__(
        self,
        store: AbsenceStore,
        known: KnownAbsences,
        jobs: JobStore,
        engine: Engine,
        clock: DatabaseClock,
        limits: Limits,
    ) -> None:
        self._store = store
        self._known = known
        self._jobs = jobs
        self._engine = engine
        self._clock = clock
        self._limits = limits
        self._looks: list[tuple[datetime, str]] = []
        """A heap of when to look at which absence next."""
        self._reviewed: dict[str, datetime] = {}
        """By absence id: the time for which it is known to be reviewed."""

    async def review_due(self) -> None:
        """Review what is due. What cannot be reviewed now is due again. Raises StorageUnavailable."""
        now = self._clock.now()
        due = self._take_due(now)
        by_namespace: dict[str, list[Absence]] = defaultdict(list)
        for absence_id in due:
            if (absence := self._known.get(absence_id)) is not None:
                by_namespace[absence.namespace].append(absence)
        try:
            for namespace, absences in by_namespace.items():
                for start in range(0, len(absences), AT_ONCE):
                    some = {each.absence_id: each for each in absences[start : start + AT_ONCE]}
                    await self._review_some(namespace, some, due)
                    await self._known.keep_up()
        finally:
            for absence_id, until in due.items():
                if not self._is_reviewed(absence_id, until):
                    heapq.heappush(self._looks, (now, absence_id))

    def _is_reviewed(self, absence_id: str, until: datetime) -> bool:
        reviewed = self._reviewed.get(absence_id)
        return reviewed is not None and reviewed >= until

    def _take_due(self, now: datetime) -> dict[str, datetime]:
        """The absences that are to be reviewed now, and for which time."""
        for absence_id in self._known.take_changed():
            heapq.heappush(self._looks, (now, absence_id))
        due: dict[str, datetime] = {}
        while self._looks and self._looks[0][0] <= now:
            _, absence_id = heapq.heappop(self._looks)
            absence = self._known.get(absence_id)
            if absence is None:
                self._reviewed.pop(absence_id, None)
                continue
            times = _times(absence)
            if (following := min((time for time in times if time > now), default=None)) is not None:
                heapq.heappush(self._looks, (following, absence_id))
            # `updated_at` is by the database's clock, of which `now` is an estimate.
            past = [time for time in times if time <= now or time == absence.updated_at]
            if past and not self._is_reviewed(absence_id, max(past)):
                due[absence_id] = max(past)
        return due

    async def _review_some(
        self, namespace: str, absences: Mapping[str, Absence], due: Mapping[str, datetime]
    ) -> None:
        claims = await self._store.claim_reviews({each: due[each] for each in absences}, LEASE)
        granted = [absences[each] for each, claim in claims.items() if claim is Claim.GRANTED]
        if granted:
            people = frozenset(each.subject for each in granted)
            failed = await self._review(namespace, people)
            done = {each.absence_id: due[each.absence_id] for each in granted if each.subject not in failed}
            await self._store.finish_reviews(done)  # others are tried again after the lease
            self._reviewed |= done
        self._reviewed |= {each: due[each] for each, claim in claims.items() if claim is Claim.DONE}

    async def _review(self, namespace: str, people: frozenset[str]) -> set[str]:
        """Review the jobs with an open prompt that names one of the people, by itself or as a substitute.

        Returns the people of whom a job could not be reviewed; it does not keep others from it. Raises
        StorageUnavailable."""
        failed: set[str] = set()
        filter, after = PromptFilter(namespace, people=tuple(sorted(people))), None
        while True:
            page = await self._jobs.list_prompts(filter, PAGE_SIZE, after, self._limits.page_bytes)
            # Together, so that the engine writes them as batches.
            jobs = sorted({prompt.job_id for prompt in page.prompts})
            done = dict(zip(jobs, await asyncio.gather(*map(self._review_job, jobs)), strict=True))
            failed.update(*(_named(prompt) for prompt in page.prompts if not done[prompt.job_id]))
            if page.next is None:
                return failed
            after = page.next
            await self._known.keep_up()

    async def _review_job(self, job_id: str) -> bool:
        """Review the prompts of one job. Returns whether that was possible. Raises StorageUnavailable."""
        try:
            await self._engine.execute(ReviewAbsences(job_id=job_id))
        except StorageUnavailable:
            raise
        except AskbackError as error:
            _log.warning("the review of absences failed; job %s: %s", job_id, error.message)
            return False
        return True


def _times(absence: Absence) -> Sequence[datetime]:
    """The times after which the prompts are to be reviewed: a change, a beginning or an end, and REPEAT after
    each."""
    times = [absence.from_at, absence.until_at]
    if absence.updated_at is not None:
        times.append(absence.updated_at)
    return [*times, *(time + REPEAT for time in times)]


def _named(prompt: Prompt) -> frozenset[str]:
    """The people whom a prompt names, by itself or by a delegation."""
    given = prompt.content.delegations or Delegations()
    return prompt.content.audience.users | given.users
