"""Brings runnable jobs to workers with room: backlog first, the queues in turn.

A queue is a namespace and a job type. Within one the order is priority, then age; between those that a
worker takes it is whose turn is longest ago, so that no backlog, and no stream of urgent jobs, starves
another. Namespaces are looked at side by side, in turns of a bounded size: what one has delays no other.
Every lease is a command with a guard; what is here only decides which job is tried for whom.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

from askback_server.domain.commands import LeaseJob
from askback_server.domain.errors import (
    AskbackError,
    OutcomeUnknown,
    SessionMoved,
    SessionNotFound,
    StorageUnavailable,
)
from askback_server.domain.jobs import Job
from askback_server.engine.alarms import Alarms
from askback_server.engine.committed import Committed
from askback_server.engine.concurrency import Concurrency, QueueKey
from askback_server.engine.engine import Engine
from askback_server.engine.spread import Spread
from askback_server.engine.takers import Taker, Takers
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.storage import WorkQueue

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between two looks at the queue when nothing said that there is something."""
SCAN = 200
"""Candidates read at once, shared by the job types; each gets one at least."""
TYPES = 64
"""Job types of a namespace that one turn looks at."""
SIDE_BY_SIDE = 4
"""Namespaces whose queues are read at the same time."""
REMEMBERED = 10_000
"""Queues whose last turn is remembered."""


class Dispatcher:
    """Matches takers and claimable jobs."""

    def __init__(
        self,
        engine: Engine,
        queue: WorkQueue,
        takers: Takers,
        clock: DatabaseClock,
        concurrency: Concurrency | None = None,
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._clock = clock
        self._concurrency = concurrency
        self._takers = takers
        self._wake = asyncio.Event()
        self._starts = Alarms(clock, self._look)
        """Times at which jobs become claimable."""
        self._claiming: dict[str, QueueKey] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._backlog: dict[str, None] = {}
        """Namespaces that may have jobs not tried yet: elsewhere room alone is no reason to look."""
        self._looking: set[str] = set()
        """Namespaces whose turn it is now."""
        self._again: set[str] = set()
        """Those of them where there was news meanwhile."""
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)
        self._turns = count(1)
        self._served: dict[QueueKey, int] = {}
        """When each queue last had a job leased, in turns."""
        self._spread = Spread(SCAN)
        self._paused = False

    def add(self, taker: Taker) -> None:
        """A taker with room."""
        self._takers.add(taker)
        if self._paused:
            taker.looked(taker.job_types)
        self._look(taker.namespace)

    def remove(self, taker: Taker) -> None:
        """A taker that left."""
        self._takers.discard(taker)

    def pause(self) -> None:
        """Lease no more jobs. Takers are told that there is nothing for them."""
        self._paused = True
        for taker in self._takers:
            taker.looked(taker.job_types)

    def serves(self, job: Job) -> bool:
        """Whether a worker of the job's type is here."""
        return any(job.job_type in taker.job_types for taker in self._takers.of(job.namespace))

    def wake(self) -> None:
        """Room appeared."""
        if self._backlog:
            self._wake.set()

    def _look(self, *namespaces: str) -> None:
        """Work appeared, or may have; anywhere, if no namespace is named."""
        for namespace in namespaces or tuple(self._takers.namespaces):
            self._backlog[namespace] = None
            if namespace in self._looking:
                self._again.add(namespace)
        self._wake.set()

    def committed(self, batch: Sequence[Committed]) -> None:
        """Look at once when a commit made a job claimable, now or at a time, or a limited queue has room."""
        for item in batch:
            if self._concurrency is not None and self._concurrency.made_room(item.job):
                self._look(item.job.namespace)
            ready = item.job.ready_at
            if ready is None or item.deleted:
                continue
            if ready > self._clock.now():
                self._starts.note(ready)
            elif self._takers.of(item.job.namespace):
                self._look(item.job.namespace)

    async def run(self) -> None:
        """Match until cancelled."""
        try:
            while True:
                try:
                    # Not wait_for: before Python 3.12 it swallows a cancel that meets the wake-up.
                    async with asyncio.timeout(POLL):
                        await self._wake.wait()
                except TimeoutError:
                    self._look()  # other replicas, and times that have come, say nothing
                self._wake.clear()
                self._match()
        finally:
            self._starts.close()
            for task in self._tasks:
                task.cancel()

    def _match(self) -> None:
        """Begin a turn of each namespace that has a backlog, room, and no turn now."""
        for namespace in [] if self._paused else list(self._backlog):
            if namespace not in self._takers.namespaces:
                del self._backlog[namespace]
            elif namespace not in self._looking and self._takers.with_room(namespace):
                del self._backlog[namespace]
                self._looking.add(namespace)
                self._spawn(self._turn(namespace))

    async def _turn(self, namespace: str) -> None:
        try:
            async with self._places:
                takers = self._takers.with_room(namespace)
                if takers:
                    await self._match_in(namespace, takers)
        except AskbackError as error:
            log.warning("looking for runnable jobs: %s", error)
            await asyncio.sleep(POLL)
            self._again.add(namespace)
        finally:
            self._looking.discard(namespace)
            if namespace in self._again:
                self._again.discard(namespace)
                self._look(namespace)

    async def _match_in(self, namespace: str, takers: Sequence[Taker]) -> None:
        """Read the first jobs of each queue that these takers take, and share their room out."""
        types, is_last = self._takers.next_types(takers, TYPES)
        if not is_last:
            self._again.add(namespace)
        queues = {(namespace, t) for t in types}
        if self._concurrency is not None:
            queues = {queue for queue in queues if self._concurrency.is_open(queue)}
        room = sum(taker.room() for taker in takers)
        share = min(room, max(1, SCAN // max(1, len(queues))))
        limits = {queue[1]: share + self._spread.more(queue) for queue in queues}
        # Those being claimed are read too: ask for so many more.
        for queue in self._claiming.values():
            if queue in queues:
                limits[queue[1]] += 1
        found = await self._queue.claimable(namespace, limits)
        lines: dict[QueueKey, deque[str]] = {}
        cut = False
        for job_type, ids in found.items():
            cut = cut or len(ids) == limits[job_type]
            line = deque(i for i in ids if i not in self._claiming)
            self._spread.step_aside((namespace, job_type), line, share)
            lines[namespace, job_type] = line
        # A taker that left while the queues were read cannot hand its jobs over.
        takers = self._takers.still_here(takers)
        # What stays behind is known, though nobody may say so again.
        if self._share_out(takers, lines) and cut:
            self._again.add(namespace)
        for taker in takers:
            taker.looked(types)
        if cut or any(lines.values()):
            self._backlog[namespace] = None

    def _share_out(self, takers: Sequence[Taker], lines: dict[QueueKey, deque[str]]) -> int:
        """One job of each queue in turn, the one first whose last turn is longest ago."""
        given = 0
        planned: dict[QueueKey, list[tuple[str, Taker]]] = defaultdict(list)
        turns = deque(sorted((q for q in lines if lines[q]), key=lambda q: (self._served.get(q, 0), q)))
        while turns:
            queue = turns.popleft()
            able = [t for t in takers if queue[1] in t.job_types and t.room() > 0]
            limit = self._concurrency.limit(queue) if self._concurrency is not None else None
            if not able or (limit is not None and len(planned[queue]) >= limit):
                continue
            taker = max(able, key=lambda t: t.room())
            job_id = lines[queue].popleft()
            self._claim(job_id, queue, taker)
            given += 1
            if limit is None:
                self._spawn(self._lease(job_id, queue, taker))
            else:
                planned[queue].append((job_id, taker))
            if lines[queue]:
                turns.append(queue)
        for queue, tried in planned.items():
            if tried:
                self._spawn(self._lease_in_turn(queue, tried))
        return given

    def _claim(self, job_id: str, queue: QueueKey, taker: Taker) -> None:
        """The job is being tried for the taker, until `_settle`."""
        self._claiming[job_id] = queue
        self._served.pop(queue, None)
        self._served[queue] = next(self._turns)
        if len(self._served) > REMEMBERED:
            del self._served[next(iter(self._served))]
        taker.reserve(+1)

    def _settle(self, job_id: str, taker: Taker) -> None:
        self._claiming.pop(job_id, None)
        taker.reserve(-1)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lease_in_turn(self, queue: QueueKey, planned: Sequence[tuple[str, Taker]]) -> None:
        """Lease the first jobs of a queue with a limit, as many as may run besides those that do."""
        assert self._concurrency is not None
        left = deque(planned)
        try:
            async with self._concurrency.turn(queue, len(planned)) as places:
                leases = []
                for _ in range(places.free if places is not None else 0):
                    assert places is not None
                    leases.append(self._lease(left[0][0], queue, left[0][1], places.until))
                    left.popleft()
                await asyncio.gather(*leases)
        except AskbackError as error:
            log.warning("taking a turn at %s: %s", queue, error)
        finally:
            for job_id, taker in left:
                self._settle(job_id, taker)
        if self._concurrency.is_open(queue):
            self._look(queue[0])
        else:
            self._backlog[queue[0]] = None
            if (opens := self._concurrency.opens(queue)) is not None:
                self._clock.call_at(opens, partial(self._look, queue[0]))

    async def _lease(
        self, job_id: str, queue: QueueKey, taker: Taker, not_after: datetime | None = None
    ) -> None:
        command = LeaseJob(
            principal=taker.principal,
            job_id=job_id,
            session=taker.session,
            worker_id=taker.worker_id,
            not_after=not_after,
        )
        try:
            job = await self._until_known(command)
        except (SessionMoved, SessionNotFound):
            # A frozen worker's stream may stand for long: without this it would be tried for ever.
            log.info(
                "the session of worker %s is gone; it gets no jobs",
                taker.worker_id,
                extra={"job_id": job_id, "session_id": taker.session.session_id},
            )
            self.remove(taker)
            self._look(taker.namespace)
        except AskbackError as error:
            # Somebody else has it, or it ended: the next look shows.
            log.debug("job %s was not leased: %s", job_id, error, extra={"job_id": job_id})
            self._spread.widen(queue)
            self._look(queue[0])
        else:
            taker.leased(job)
        finally:
            self._settle(job_id, taker)

    async def _until_known(self, command: LeaseJob) -> Job:
        """Lease it, and ask again for as long as nobody can say whether it was: the worker of a lease that
        it never heard of would keep the job from all others."""
        while True:
            try:
                return await self._engine.execute(command)
            except StorageUnavailable as error:
                if isinstance(error, OutcomeUnknown):
                    command = replace(command, again=True)
                if not command.again:
                    raise
            await asyncio.sleep(POLL)
