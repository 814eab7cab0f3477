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
from askback_server.engine.consumers import Consumer, Consumers
from askback_server.engine.engine import Engine
from askback_server.engine.spread import Spread
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
    """Matches consumers and claimable jobs."""

    def __init__(
        self,
        engine: Engine,
        queue: WorkQueue,
        consumers: Consumers,
        clock: DatabaseClock,
        concurrency: Concurrency | None = None,
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._clock = clock
        self._concurrency = concurrency
        self._consumers = consumers
        self._wake = asyncio.Event()
        self._start_alarms = Alarms(clock, self._request_scan)
        """Times at which jobs become claimable."""
        self._leasing: dict[str, QueueKey] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._backlog: dict[str, None] = {}
        """Namespaces that may have jobs not tried yet: elsewhere room alone is no reason to look."""
        self._scanning: set[str] = set()
        """Namespaces whose turn it is now."""
        self._rescan: set[str] = set()
        """Those of them where there was news meanwhile."""
        self._scan_slots = asyncio.Semaphore(SIDE_BY_SIDE)
        self._lease_numbers = count(1)
        self._last_served: dict[QueueKey, int] = {}
        """When each queue last had a job leased, in turns."""
        self._spread = Spread(SCAN)
        self._paused = False

    def add(self, consumer: Consumer) -> None:
        """A consumer with room."""
        self._consumers.add(consumer)
        if self._paused:
            consumer.note_queues_read(consumer.job_types)
        self._request_scan(consumer.namespace)

    def remove(self, consumer: Consumer) -> None:
        """A consumer that left."""
        self._consumers.discard(consumer)

    def pause(self) -> None:
        """Lease no more jobs. Consumers are told that there is nothing for them."""
        self._paused = True
        for consumer in self._consumers:
            consumer.note_queues_read(consumer.job_types)

    def serves(self, job: Job) -> bool:
        """Whether a worker of the job's type is here."""
        return any(job.job_type in consumer.job_types for consumer in self._consumers.of(job.namespace))

    def wake(self) -> None:
        """Room appeared."""
        if self._backlog:
            self._wake.set()

    def _request_scan(self, *namespaces: str) -> None:
        """Work appeared, or may have; anywhere, if no namespace is named."""
        for namespace in namespaces or tuple(self._consumers.namespaces):
            self._backlog[namespace] = None
            if namespace in self._scanning:
                self._rescan.add(namespace)
        self._wake.set()

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Look at once when a commit made a job claimable, now or at a time, or a limited queue has room."""
        for item in batch:
            if self._concurrency is not None and self._concurrency.note_commit(item.job):
                self._request_scan(item.job.namespace)
            ready = item.job.ready_at
            if ready is None or item.deleted:
                continue
            if ready > self._clock.now():
                self._start_alarms.note(ready)
            elif self._consumers.of(item.job.namespace):
                self._request_scan(item.job.namespace)

    async def run(self) -> None:
        """Match until cancelled."""
        try:
            while True:
                try:
                    # Not wait_for: before Python 3.12 it swallows a cancel that meets the wake-up.
                    async with asyncio.timeout(POLL):
                        await self._wake.wait()
                except TimeoutError:
                    self._request_scan()  # other replicas, and times that have come, say nothing
                self._wake.clear()
                self._start_scans()
        finally:
            self._start_alarms.close()
            for task in self._tasks:
                task.cancel()

    def _start_scans(self) -> None:
        """Begin a turn of each namespace that has a backlog, room, and no turn now."""
        for namespace in [] if self._paused else list(self._backlog):
            if namespace not in self._consumers.namespaces:
                del self._backlog[namespace]
            elif namespace not in self._scanning and self._consumers.with_room(namespace):
                del self._backlog[namespace]
                self._scanning.add(namespace)
                self._spawn(self._scan(namespace))

    async def _scan(self, namespace: str) -> None:
        try:
            async with self._scan_slots:
                consumers = self._consumers.with_room(namespace)
                if consumers:
                    await self._scan_queues(namespace, consumers)
        except AskbackError as error:
            log.warning("looking for runnable jobs: %s", error)
            await asyncio.sleep(POLL)
            self._rescan.add(namespace)
        finally:
            self._scanning.discard(namespace)
            if namespace in self._rescan:
                self._rescan.discard(namespace)
                self._request_scan(namespace)

    async def _scan_queues(self, namespace: str, consumers: Sequence[Consumer]) -> None:
        """Read the first jobs of each queue that these consumers take, and share their room out."""
        types, is_last = self._consumers.next_types(consumers, TYPES)
        if not is_last:
            self._rescan.add(namespace)
        queues = {(namespace, t) for t in types}
        if self._concurrency is not None:
            queues = {queue for queue in queues if self._concurrency.is_open(queue)}
        room = sum(consumer.room() for consumer in consumers)
        share = min(room, max(1, SCAN // max(1, len(queues))))
        limits = {queue[1]: share + self._spread.more(queue) for queue in queues}
        # Those being claimed are read too: ask for so many more.
        for queue in self._leasing.values():
            if queue in queues:
                limits[queue[1]] += 1
        found = await self._queue.claimable(namespace, limits)
        lines: dict[QueueKey, deque[str]] = {}
        cut = False
        for job_type, ids in found.items():
            cut = cut or len(ids) == limits[job_type]
            line = deque(i for i in ids if i not in self._leasing)
            self._spread.step_aside((namespace, job_type), line, share)
            lines[namespace, job_type] = line
        # A consumer that left while the queues were read cannot hand its jobs over.
        consumers = self._consumers.still_here(consumers)
        # What stays behind is known, though nobody may say so again.
        if self._share_out(consumers, lines) and cut:
            self._rescan.add(namespace)
        for consumer in consumers:
            consumer.note_queues_read(types)
        if cut or any(lines.values()):
            self._backlog[namespace] = None

    def _share_out(self, consumers: Sequence[Consumer], lines: dict[QueueKey, deque[str]]) -> int:
        """One job of each queue in turn, the one first whose last turn is longest ago."""
        given = 0
        planned: dict[QueueKey, list[tuple[str, Consumer]]] = defaultdict(list)
        turns = deque(sorted((q for q in lines if lines[q]), key=lambda q: (self._last_served.get(q, 0), q)))
        while turns:
            queue = turns.popleft()
            able = [t for t in consumers if queue[1] in t.job_types and t.room() > 0]
            limit = self._concurrency.limit(queue) if self._concurrency is not None else None
            if not able or (limit is not None and len(planned[queue]) >= limit):
                continue
            consumer = max(able, key=lambda t: t.room())
            job_id = lines[queue].popleft()
            self._begin_lease(job_id, queue, consumer)
            given += 1
            if limit is None:
                self._spawn(self._lease(job_id, queue, consumer))
            else:
                planned[queue].append((job_id, consumer))
            if lines[queue]:
                turns.append(queue)
        for queue, tried in planned.items():
            if tried:
                self._spawn(self._lease_under_lock(queue, tried))
        return given

    def _begin_lease(self, job_id: str, queue: QueueKey, consumer: Consumer) -> None:
        """The job is being tried for the consumer, until `_end_lease`."""
        self._leasing[job_id] = queue
        self._last_served.pop(queue, None)
        self._last_served[queue] = next(self._lease_numbers)
        if len(self._last_served) > REMEMBERED:
            del self._last_served[next(iter(self._last_served))]
        consumer.reserve(+1)

    def _end_lease(self, job_id: str, consumer: Consumer) -> None:
        self._leasing.pop(job_id, None)
        consumer.reserve(-1)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lease_under_lock(self, queue: QueueKey, planned: Sequence[tuple[str, Consumer]]) -> None:
        """Lease the first jobs of a queue with a limit, as many as may run besides those that do."""
        assert self._concurrency is not None
        left = deque(planned)
        try:
            async with self._concurrency.lock_queue(queue, len(planned)) as allowance:
                leases = []
                for _ in range(allowance.count if allowance is not None else 0):
                    assert allowance is not None
                    leases.append(self._lease(left[0][0], queue, left[0][1], allowance.until))
                    left.popleft()
                await asyncio.gather(*leases)
        except AskbackError as error:
            log.warning("taking a turn at %s: %s", queue, error)
        finally:
            for job_id, consumer in left:
                self._end_lease(job_id, consumer)
        if self._concurrency.is_open(queue):
            self._request_scan(queue[0])
        else:
            self._backlog[queue[0]] = None
            if (reopens_at := self._concurrency.reopens_at(queue)) is not None:
                self._clock.call_at(reopens_at, partial(self._request_scan, queue[0]))

    async def _lease(
        self, job_id: str, queue: QueueKey, consumer: Consumer, not_after: datetime | None = None
    ) -> None:
        command = LeaseJob(
            principal=consumer.principal,
            job_id=job_id,
            session=consumer.session,
            worker_id=consumer.worker_id,
            not_after=not_after,
        )
        try:
            job = await self._lease_until_known(command)
        except (SessionMoved, SessionNotFound):
            # A frozen worker's stream may stand for long: without this it would be tried for ever.
            log.info(
                "the session of worker %s is gone; it gets no jobs",
                consumer.worker_id,
                extra={"job_id": job_id, "session_id": consumer.session.session_id},
            )
            self.remove(consumer)
            self._request_scan(consumer.namespace)
        except AskbackError as error:
            # Somebody else has it, or it ended: the next look shows.
            log.debug("job %s was not leased: %s", job_id, error, extra={"job_id": job_id})
            self._spread.widen(queue)
            self._request_scan(queue[0])
        else:
            consumer.accept_lease(job)
        finally:
            self._end_lease(job_id, consumer)

    async def _lease_until_known(self, command: LeaseJob) -> Job:
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
