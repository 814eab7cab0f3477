"""Brings runnable jobs to workers with room: backlog first, by priority and age.

Every lease is a command with a guard; what is here only decides which job is tried for whom.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from askback_server.domain.commands import LeaseJob, SessionRef
from askback_server.domain.errors import AskbackError, SessionNotFound
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal
from askback_server.engine.committed import Committed
from askback_server.engine.engine import Engine
from askback_server.engine.wakeups import Wakeups
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.storage import WorkQueue

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between two looks at the queue when nothing said that there is something."""
SCAN = 200
"""Candidates read at once."""


class Taker(Protocol):
    """A worker that takes jobs: a stream's session, or a unary call that waits."""

    principal: Principal
    session: SessionRef
    worker_id: str
    namespace: str
    job_types: frozenset[str]

    def room(self) -> int:
        """How many more jobs it takes now."""

    def reserve(self, change: int) -> None:
        """A lease is being tried for it (+1), or is decided (-1)."""

    def leased(self, job: Job) -> None:
        """The job is its own."""


class Dispatcher:
    """Matches takers and claimable jobs."""

    def __init__(self, engine: Engine, queue: WorkQueue, clock: DatabaseClock) -> None:
        self._engine = engine
        self._queue = queue
        self._clock = clock
        self._takers: set[Taker] = set()
        self._wake = asyncio.Event()
        self._starts = Wakeups(clock, self._look)
        """Times at which jobs become claimable."""
        self._claiming: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._backlog = True
        """Whether there may be claimable jobs that were not tried: else room alone is no reason to look."""
        self.paused = False

    def add(self, taker: Taker) -> None:
        """A taker with room."""
        self._takers.add(taker)
        self._look()

    def remove(self, taker: Taker) -> None:
        """A taker that left."""
        self._takers.discard(taker)

    def serves(self, job: Job) -> bool:
        """Whether a worker of the job's type is here."""
        return any(t.namespace == job.namespace and job.job_type in t.job_types for t in self._takers)

    def wake(self) -> None:
        """Room appeared."""
        if self._backlog:
            self._wake.set()

    def _look(self) -> None:
        """Work appeared, or may have."""
        self._backlog = True
        self._wake.set()

    def committed(self, batch: Sequence[Committed]) -> None:
        """Look at once when a commit made a job claimable, now or at a time."""
        for item in batch:
            ready = item.job.ready_at
            if ready is None or item.deleted:
                continue
            if ready > self._clock.now():
                self._starts.note(ready)
            elif self._takers:
                self._look()

    async def run(self) -> None:
        """Match until cancelled."""
        try:
            while True:
                try:
                    # Not wait_for: before Python 3.12 it swallows a cancel that meets the wake-up.
                    async with asyncio.timeout(POLL):
                        await self._wake.wait()
                except TimeoutError:
                    self._backlog = True  # other replicas, and times that have come, say nothing
                self._wake.clear()
                try:
                    await self._match()
                except AskbackError as error:
                    log.warning("looking for runnable jobs: %s", error)
                    await asyncio.sleep(POLL)
        finally:
            self._starts.close()
            for task in self._tasks:
                task.cancel()

    async def _match(self) -> None:
        by_namespace: dict[str, list[Taker]] = defaultdict(list)
        for taker in self._takers:
            if not self.paused and taker.room() > 0:
                by_namespace[taker.namespace].append(taker)
        if not by_namespace:
            return
        self._backlog = False
        for namespace, takers in by_namespace.items():
            types = sorted({t for taker in takers for t in taker.job_types})
            room = sum(taker.room() for taker in takers)
            # Those being claimed are read too: ask for so many more.
            limit = min(room + len(self._claiming), SCAN)
            found = await self._queue.claimable(namespace, types, limit)
            given = 0
            for candidate in found:
                if candidate.job_id in self._claiming:
                    continue
                able = [t for t in takers if candidate.job_type in t.job_types and t.room() > 0]
                if able:
                    self._claim(candidate.job_id, max(able, key=lambda t: t.room()))
                    given += 1
            if len(found) == limit:
                self._backlog = True
                if given:
                    self._wake.set()

    def _claim(self, job_id: str, taker: Taker) -> None:
        self._claiming.add(job_id)
        taker.reserve(+1)
        task = asyncio.create_task(self._lease(job_id, taker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lease(self, job_id: str, taker: Taker) -> None:
        command = LeaseJob(
            principal=taker.principal, job_id=job_id, session=taker.session, worker_id=taker.worker_id
        )
        try:
            job: Job = await self._engine.execute(command)
        except SessionNotFound:
            # A frozen worker's stream may stand for long: without this it would be tried for ever.
            log.info(
                "the session of worker %s is gone; it gets no jobs", taker.worker_id,
                extra={"job_id": job_id, "session_id": taker.session.session_id},
            )  # fmt: skip
            self.remove(taker)
            self._look()
        except AskbackError as error:
            # Somebody else has it, or it ended: the next look shows.
            log.debug("job %s was not leased: %s", job_id, error, extra={"job_id": job_id})
            self._look()
        else:
            taker.leased(job)
        finally:
            self._claiming.discard(job_id)
            taker.reserve(-1)
