"""Leases runnable jobs to the workers of this replica.

A queue is a namespace and a job type. Jobs of a queue are leased by priority, then age. Between the queues
that a worker takes, the one served longest ago comes first, so that neither a large backlog nor a stream of
urgent jobs starves another queue. Several scans of bounded size run at once. Where many namespaces wait they
share scans, and a namespace is in one scan at a time, so that none delays all others.

The dispatcher only proposes: the guard of its `LeaseJob` command decides. A job that becomes claimable at
this replica goes straight to a worker if its turn has come (`DirectLeases`), if possible by the same write.
Otherwise its queue is scanned, as it is when a worker gets room. When a worker arrives, and every
`POLL_SECONDS`, because other replicas may have made jobs runnable unannounced, `QueueSearch` finds queues.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from askback_server.domain.commands import LeaseJob
from askback_server.domain.errors import AskbackError, OutcomeUnknown, SessionMoved, SessionNotFound
from askback_server.domain.jobs import Job
from askback_server.engine.alarms import Alarms
from askback_server.engine.backlog import Backlog
from askback_server.engine.candidates import CandidateReader
from askback_server.engine.committed import Committed
from askback_server.engine.concurrency import Concurrency, QueueKey
from askback_server.engine.consumers import Consumer, Consumers, Places
from askback_server.engine.direct_leases import DirectLeases, queue_of
from askback_server.engine.engine import Engine
from askback_server.engine.grouping import ChosenLease
from askback_server.engine.leases_in_progress import LeasesInProgress, lease_for, lease_until_known
from askback_server.engine.queue_search import POLL_SECONDS, QueueSearch
from askback_server.ports.announcements import Announcement
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.storage import WorkQueue

_log = logging.getLogger("askback.server.engine")

MAX_CONCURRENT_SCANS = 4
"""Scans that run concurrently. Where more namespaces wait, a scan takes its share of them."""


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
        self._clock = clock
        self._concurrency = concurrency
        self._consumers = consumers
        self._wake = asyncio.Event()
        self._search = QueueSearch(queue, consumers, self._request_scans)
        self._start_alarms = Alarms(clock, self._look_at_all)
        """For jobs that become claimable at a later time."""
        self._leases = LeasesInProgress()
        self._candidates = CandidateReader(queue, self._leases, concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._backlog = Backlog(consumers)
        self._direct = DirectLeases(consumers, self._leases, concurrency, self._search)
        self._scans = 0
        self._paused = False

    def add(self, consumer: Consumer) -> None:
        """Lease jobs to a consumer from now on."""
        self._consumers.add(consumer)
        if self._paused:
            consumer.note_queues_read(consumer.job_types)
        self._search.add(consumer)
        self._wake.set()

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
        return job.job_type in self._consumers.takers(job.namespace)

    def wake(self, namespace: str) -> None:
        """A consumer of the namespace may have room again: scan what waits."""
        self._direct.note_room(namespace)
        self._backlog.note_room(namespace)
        if self._backlog:
            self._wake.set()

    def _request_scans(self, namespace: str, queues: Mapping[str, bool]) -> None:
        """Scan queues soon. The value says whether the queue is known to have a claimable job."""
        self._backlog.mark(namespace, queues)
        if self._backlog:
            self._wake.set()

    def _request_scan(self, queue: QueueKey) -> None:
        """Scan a queue soon: it has a claimable job."""
        self._request_scans(queue[0], {queue[1]: True})

    def _look_at_all(self) -> None:
        """Look at all queues for which a consumer has room: any of them may have claimable jobs."""
        self._search.add_all()
        self._wake.set()

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Lease jobs that a commit made claimable, now or later, and scan queues in which it made room."""
        for job in (item.job for item in batch):
            is_claimable = self._note_change(queue_of(job), job.ready_at, freed=job.is_freed)
            if is_claimable and not self._direct.postpone(job):
                self._lease_or_scan(job)

    def on_announced(self, announced: Sequence[Announcement]) -> None:
        """The same for commits of other replicas."""
        for item in announced:
            queue = item.namespace, item.job_type
            if self._note_change(queue, item.ready_at, freed=item.freed):
                self._request_scan(queue)

    def _note_change(self, queue: QueueKey, ready: datetime | None, *, freed: bool) -> bool:
        """Take note of a changed job. Returns whether it is claimable now."""
        if freed and self._concurrency.note_freed(queue):
            self._request_scan(queue)
        if ready is not None and ready > self._clock.now():
            self._start_alarms.note(ready)
            return False
        return ready is not None

    def choose_worker(self, job: Job) -> ChosenLease | None:
        """A worker for a job, to lease it in the write that makes it claimable; None if it waits its turn."""
        if (consumer := self._begin_direct_lease(job)) is None:
            return None
        chosen = ChosenLease(lease_for(consumer, job.job_id), asyncio.get_running_loop().create_future())
        chosen.reply.add_done_callback(partial(self._end_chosen, chosen.command, queue_of(job), consumer))
        return chosen

    def _end_chosen(
        self, command: LeaseJob, queue: QueueKey, consumer: Consumer, reply: asyncio.Future[Job]
    ) -> None:
        if isinstance(error := reply.exception(), OutcomeUnknown):
            self._spawn(self._lease(replace(command, again=True), queue, consumer))
            return
        if error is None:  # else `on_commit` leases the job, if it was written without its lease
            consumer.accept_lease(reply.result())
        self._end_lease(command.job_id, consumer)

    def _lease_or_scan(self, job: Job) -> None:
        """Lease a claimable job, or have its queue scanned if the job waits for its turn."""
        if (consumer := self._begin_direct_lease(job)) is None:
            self._request_scan(queue_of(job))
        else:
            self._spawn(self._lease(lease_for(consumer, job.job_id), queue_of(job), consumer))

    def _begin_direct_lease(self, job: Job) -> Consumer | None:
        consumer = None if self._paused else self._direct.choose(job)
        if consumer is not None:
            self._begin_lease(job.job_id, queue_of(job), consumer)
        return consumer

    async def run(self) -> None:
        """Lease jobs until cancelled."""
        clock = asyncio.get_running_loop().time
        poll_at = clock() + self._search.pause
        try:
            while True:
                try:
                    async with asyncio.timeout_at(poll_at):  # not wait_for, see Feed.run
                        await self._wake.wait()
                except TimeoutError:
                    self._look_at_all()  # poll: other replicas may have made jobs runnable
                    poll_at = clock() + self._search.pause
                self._wake.clear()
                self._start_scans()
        finally:
            self._start_alarms.close()
            for task in self._tasks:
                task.cancel()

    def _start_scans(self) -> None:
        """Scan what waits and has a consumer with room, each namespace in one scan at a time."""
        if self._search.is_due and not self._paused:
            self._spawn(self._search.run())
        while self._scans < MAX_CONCURRENT_SCANS and not self._paused:
            planned = self._backlog.plan_scan(MAX_CONCURRENT_SCANS - self._scans, self._direct.scanned)
            if not planned:
                break
            self._direct.begin_scan(planned)
            self._scans += 1
            self._spawn(self._scan(planned))

    async def _scan(self, planned: dict[str, list[str]]) -> None:
        try:
            await self._scan_queues(planned)
        except AskbackError as error:
            _log.warning("cannot scan for runnable jobs: %s", error)
            await asyncio.sleep(POLL_SECONDS)
            for namespace, types in planned.items():
                self._backlog.mark(namespace, dict.fromkeys(types, False))
        finally:
            self._scans -= 1
            for namespace in planned:
                for job in self._direct.end_scan(namespace):
                    self._lease_or_scan(job)
                self.wake(namespace)

    async def _scan_queues(self, planned: dict[str, list[str]]) -> None:
        """Read the first jobs of these queues, and distribute them."""
        consumers = {namespace: self._consumers.with_room(namespace) for namespace in planned}
        candidates = await self._candidates.read(planned, consumers)
        # A consumer removed while the queues were read cannot receive jobs.
        connected = {n: self._consumers.still_connected(some) for n, some in consumers.items()}
        limited = self._lease_in_turn(connected, candidates.ids)
        for queue in candidates.left():
            # No commit will report these jobs again. The end of a lease under a limit will.
            if queue not in limited:
                self._backlog.mark(queue[0], {queue[1]: True})
        for namespace, some in connected.items():
            for consumer in some:
                consumer.note_queues_read(planned[namespace])

    def _lease_in_turn(
        self, consumers: dict[str, list[Consumer]], candidates: dict[QueueKey, deque[str]]
    ) -> Collection[QueueKey]:
        """Lease one job of each queue in turn, the queue served longest ago first.

        Returns the queues with a limit of which jobs are being leased.
        """
        planned: dict[QueueKey, list[tuple[str, Consumer]]] = defaultdict(list)
        waiting = [queue for queue, ids in candidates.items() if ids]
        queues = deque(sorted(waiting, key=lambda q: (self._backlog.turn(q), q)))
        places = {namespace: Places(some) for namespace, some in consumers.items()}
        while queues:
            queue = queues.popleft()
            limit = self._concurrency.limit(queue)
            if limit is not None and len(planned[queue]) >= limit:
                continue
            consumer = places[queue[0]].take(queue[1])
            if consumer is None:
                continue
            job_id = candidates[queue].popleft()
            self._begin_lease(job_id, queue, consumer)
            if limit is None:
                self._spawn(self._lease(lease_for(consumer, job_id), queue, consumer))
            else:
                planned[queue].append((job_id, consumer))
            if candidates[queue]:
                queues.append(queue)
        limited = {queue: tried for queue, tried in planned.items() if tried}
        for queue, tried in limited.items():
            self._spawn(self._lease_under_lock(queue, tried))
        return limited

    def _begin_lease(self, job_id: str, queue: QueueKey, consumer: Consumer) -> None:
        """Reserve room at the consumer, and skip the job in scans until `_end_lease`."""
        self._leases.begin(job_id, queue)
        self._backlog.note_lease(queue)
        consumer.reserve(+1)

    def _end_lease(self, job_id: str, consumer: Consumer) -> None:
        self._leases.end(job_id)
        consumer.reserve(-1)
        self.wake(consumer.namespace)

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
                    commands = [(lease_for(c, i, allowance.until), c) for i, c in granted]
                    await asyncio.gather(*(self._lease(command, queue, c) for command, c in commands))
        except AskbackError as error:
            _log.warning("cannot lock queue %s: %s", queue, error)
        finally:
            for job_id, consumer in left:
                self._end_lease(job_id, consumer)
        if self._concurrency.is_open(queue):
            self._request_scan(queue)
        elif (reopens_at := self._concurrency.reopens_at(queue)) is not None:
            self._clock.call_at(reopens_at, partial(self._request_scan, queue))

    async def _lease(self, command: LeaseJob, queue: QueueKey, consumer: Consumer) -> None:
        extra = {"job_id": command.job_id, "session_id": command.session.session_id}
        try:
            job = await lease_until_known(self._engine, command)
        except (SessionMoved, SessionNotFound):
            # A frozen worker's stream may stay open for long; without this it would be tried repeatedly.
            text = "the session of worker %s has expired or moved; it gets no more jobs"
            _log.info(text, consumer.worker_id, extra=extra)
            self.remove(consumer)
            self._request_scan(queue)
        except AskbackError as error:
            # Another replica was faster, or the job ended. The next scan shows the truth.
            _log.debug("job %s was not leased: %s", command.job_id, error, extra=extra)
            self._candidates.note_lost_race(queue)
            self._request_scan(queue)
        else:
            consumer.accept_lease(job)
        finally:
            self._end_lease(command.job_id, consumer)
