"""Leases runnable jobs to the workers of this replica.

A queue is a namespace and a job type. Jobs of a queue are leased by priority, then age. Between the queues
that a worker takes, the one served longest ago comes first, so that neither a large backlog nor a stream of
urgent jobs starves another queue. Namespaces are scanned concurrently, in scans of bounded size, so that none
delays another.

The dispatcher only proposes: it chooses a job and a worker and sends a `LeaseJob` command, whose guard
decides. A scan starts when a commit makes a job runnable, when a worker gets room, and every
`POLL_SECONDS`, because other replicas may have made jobs runnable without a hint.
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
from askback_server.ports.announcements import Announcement
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.storage import WorkQueue

_log = logging.getLogger("askback.server.engine")

POLL_SECONDS = 0.5
"""Seconds between two scans if nothing else triggers one."""
MAX_CANDIDATES = 200
"""Candidates read per scan, divided among the job types; each gets at least one."""
MAX_JOB_TYPES = 64
"""Job types per scan of a namespace."""
MAX_CONCURRENT_SCANS = 4
"""Namespaces scanned concurrently."""
MAX_SERVED_QUEUES = 10_000
"""Queues whose last lease is remembered, to choose the one served longest ago."""


class Dispatcher:
    """Matches consumers with claimable jobs."""

    def __init__(
        self,
        engine: Engine,
        queue: WorkQueue,
        consumers: Consumers,
        clock: DatabaseClock,
        concurrency: Concurrency,
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._clock = clock
        self._concurrency = concurrency
        self._consumers = consumers
        self._wake = asyncio.Event()
        self._start_alarms = Alarms(clock, self._request_scan)
        """For jobs that become claimable at a later time."""
        self._leasing: dict[str, QueueKey] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._backlog: dict[str, None] = {}
        """Namespaces that may have untried jobs, in order. In others, new room is no reason for a scan."""
        self._scanning: set[str] = set()
        """Namespaces being scanned."""
        self._rescan: set[str] = set()
        """Namespaces to scan again after the current scan."""
        self._scan_slots = asyncio.Semaphore(MAX_CONCURRENT_SCANS)
        self._lease_numbers = count(1)
        self._last_served: dict[QueueKey, int] = {}
        """The number of each queue's last lease; a lower one was longer ago."""
        self._spread = Spread(MAX_CANDIDATES)
        self._paused = False

    def add(self, consumer: Consumer) -> None:
        """Lease jobs to a consumer from now on."""
        self._consumers.add(consumer)
        if self._paused:
            consumer.note_queues_read(consumer.job_types)
        self._request_scan(consumer.namespace)

    def remove(self, consumer: Consumer) -> None:
        """Lease it no more jobs."""
        self._consumers.discard(consumer)

    def pause(self) -> None:
        """Lease no more jobs. Consumers learn that their queues have been read, so that none waits."""
        self._paused = True
        for consumer in self._consumers:
            consumer.note_queues_read(consumer.job_types)

    def serves(self, job: Job) -> bool:
        """Whether a connected worker takes jobs of this type."""
        return any(job.job_type in consumer.job_types for consumer in self._consumers.of(job.namespace))

    def wake(self) -> None:
        """A consumer may have room again: scan the namespaces with a backlog."""
        if self._backlog:
            self._wake.set()

    def _request_scan(self, *namespaces: str) -> None:
        """Scan namespaces soon because they may have runnable jobs; without arguments, all that have
        consumers."""
        for namespace in namespaces or tuple(self._consumers.namespaces):
            self._backlog[namespace] = None
            if namespace in self._scanning:
                self._rescan.add(namespace)
        self._wake.set()

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Request a scan if the batch made a job claimable, now or later, or made room in a queue with a
        limit."""
        for item in batch:
            job = item.job
            self._note_change(job.namespace, job.job_type, job.ready_at, freed=job.is_freed)

    def on_announced(self, announced: Sequence[Announcement]) -> None:
        """The same for commits of other replicas."""
        for item in announced:
            self._note_change(item.namespace, item.job_type, item.ready_at, freed=item.freed)

    def _note_change(self, namespace: str, job_type: str, ready: datetime | None, *, freed: bool) -> None:
        if freed and self._concurrency.note_freed((namespace, job_type)):
            self._request_scan(namespace)
        if ready is None:
            return
        if ready > self._clock.now():
            self._start_alarms.note(ready)
        elif any(job_type in consumer.job_types for consumer in self._consumers.of(namespace)):
            self._request_scan(namespace)

    async def run(self) -> None:
        """Lease jobs until cancelled."""
        try:
            while True:
                try:
                    async with asyncio.timeout(POLL_SECONDS):  # not wait_for, see Feed.run
                        await self._wake.wait()
                except TimeoutError:
                    self._request_scan()  # poll: other replicas may have made jobs runnable
                self._wake.clear()
                self._start_scans()
        finally:
            self._start_alarms.close()
            for task in self._tasks:
                task.cancel()

    def _start_scans(self) -> None:
        """Start a scan of each namespace that has a backlog, a consumer with room, and no running scan."""
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
            _log.warning("cannot scan for runnable jobs: %s", error)
            await asyncio.sleep(POLL_SECONDS)
            self._rescan.add(namespace)
        finally:
            self._scanning.discard(namespace)
            if namespace in self._rescan:
                self._rescan.discard(namespace)
                self._request_scan(namespace)

    async def _scan_queues(self, namespace: str, consumers: Sequence[Consumer]) -> None:
        """Read the first jobs of the queues that these consumers take, and distribute them."""
        types, is_last = self._consumers.next_types(consumers, MAX_JOB_TYPES)
        if not is_last:
            self._rescan.add(namespace)
        queues = {(namespace, t) for t in types if self._concurrency.is_open((namespace, t))}
        room = sum(consumer.room() for consumer in consumers)
        share = min(room, max(1, MAX_CANDIDATES // max(1, len(queues))))
        limits = {queue[1]: share + self._spread.more(queue) for queue in queues}
        # Jobs with a lease in progress are still claimable in the database: read as many more.
        for queue in self._leasing.values():
            if queue in queues:
                limits[queue[1]] += 1
        found = await self._queue.claimable(namespace, limits)
        candidates: dict[QueueKey, deque[str]] = {}
        truncated = False
        for job_type, ids in found.items():
            truncated = truncated or len(ids) == limits[job_type]
            untried = deque(i for i in ids if i not in self._leasing)
            self._spread.step_aside((namespace, job_type), untried, share)
            candidates[namespace, job_type] = untried
        # A consumer removed while the queues were read cannot receive jobs.
        consumers = self._consumers.still_connected(consumers)
        # More jobs than were read may be runnable, and no commit will report them again: rescan.
        if self._lease_in_turn(consumers, candidates) and truncated:
            self._rescan.add(namespace)
        for consumer in consumers:
            consumer.note_queues_read(types)
        if truncated or any(candidates.values()):
            self._backlog[namespace] = None

    def _lease_in_turn(self, consumers: Sequence[Consumer], candidates: dict[QueueKey, deque[str]]) -> int:
        """Lease one job of each queue in turn, the queue served longest ago first. Returns how many."""
        started = 0
        planned: dict[QueueKey, list[tuple[str, Consumer]]] = defaultdict(list)
        waiting = [queue for queue, ids in candidates.items() if ids]
        queues = deque(sorted(waiting, key=lambda q: (self._last_served.get(q, 0), q)))
        while queues:
            queue = queues.popleft()
            able = [t for t in consumers if queue[1] in t.job_types and t.room() > 0]
            limit = self._concurrency.limit(queue)
            if not able or (limit is not None and len(planned[queue]) >= limit):
                continue
            consumer = max(able, key=lambda t: t.room())
            job_id = candidates[queue].popleft()
            self._begin_lease(job_id, queue, consumer)
            started += 1
            if limit is None:
                self._spawn(self._lease(job_id, queue, consumer))
            else:
                planned[queue].append((job_id, consumer))
            if candidates[queue]:
                queues.append(queue)
        for queue, tried in planned.items():
            if tried:
                self._spawn(self._lease_under_lock(queue, tried))
        return started

    def _begin_lease(self, job_id: str, queue: QueueKey, consumer: Consumer) -> None:
        """Reserve room at the consumer, and skip the job in scans until `_end_lease`."""
        self._leasing[job_id] = queue
        self._last_served.pop(queue, None)
        self._last_served[queue] = next(self._lease_numbers)
        if len(self._last_served) > MAX_SERVED_QUEUES:
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
        """Lease the first jobs of a queue with a limit: as many as the limit leaves room for."""
        left = deque(planned)
        try:
            async with self._concurrency.lock_queue(queue, len(planned)) as allowance:
                if allowance is not None:
                    granted = [left.popleft() for _ in range(allowance.count)]
                    await asyncio.gather(*(self._lease(i, queue, c, allowance.until) for i, c in granted))
        except AskbackError as error:
            _log.warning("cannot lock queue %s: %s", queue, error)
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
            # A frozen worker's stream may stay open for long; without this it would be tried repeatedly.
            _log.info(
                "the session of worker %s has expired or moved; it gets no more jobs",
                consumer.worker_id,
                extra={"job_id": job_id, "session_id": consumer.session.session_id},
            )
            self.remove(consumer)
            self._request_scan(consumer.namespace)
        except AskbackError as error:
            # Another replica was faster, or the job ended. The next scan shows the truth.
            _log.debug("job %s was not leased: %s", job_id, error, extra={"job_id": job_id})
            self._spread.widen(queue)
            self._request_scan(queue[0])
        else:
            consumer.accept_lease(job)
        finally:
            self._end_lease(job_id, consumer)

    async def _lease_until_known(self, command: LeaseJob) -> Job:
        """Lease a job; retry while the outcome is unknown. A committed lease that is not handed over would
        block the job until its session expires."""
        while True:
            try:
                return await self._engine.execute(command)
            except StorageUnavailable as error:
                if isinstance(error, OutcomeUnknown):
                    command = replace(command, again=True)
                elif not command.again:
                    raise
            await asyncio.sleep(POLL_SECONDS)
