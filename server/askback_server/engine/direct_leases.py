"""Which jobs are leased without a scan: they go straight to a worker when they become claimable.

A worker with room takes such a job at once if no other job's turn comes first, as far as this replica knows:
the job's queue has no concurrency limit, none of the worker's queues waits for a scan, and no queue of the
namespace is being scanned or searched for. So the job passes none that waits in its queue, and takes no place
that the turn of another queue gives to another job.

A job that becomes claimable during a scan of its namespace may have been committed after the scan has read.
It is leased when the scan ends, unless the scan has left jobs before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from askback_server.domain.jobs import Job
from askback_server.engine.concurrency import Concurrency, QueueKey
from askback_server.engine.consumers import Consumer, Consumers, Places
from askback_server.engine.leases_in_progress import LeasesInProgress
from askback_server.engine.queue_search import QueueSearch

MAX_POSTPONED = 200
"""Jobs that wait for the end of a scan of their namespace; further ones are found by the next scan."""


def queue_of(job: Job) -> QueueKey:
    """The queue of a job."""
    return job.namespace, job.job_type


class DirectLeases:
    """The free places of workers, and the jobs that wait for the end of a scan."""

    def __init__(
        self,
        consumers: Consumers,
        leases: LeasesInProgress,
        concurrency: Concurrency,
        search: QueueSearch,
    ) -> None:
        self._consumers = consumers
        self._leases = leases
        self._concurrency = concurrency
        self._search = search
        self._places: dict[str, Places] = {}
        """By namespace: the room of its workers, counted once until `note_room`."""
        self._postponed: dict[str, dict[str, Job]] = {}
        """By namespace that is being scanned: jobs that became claimable meanwhile, by id."""

    @property
    def scanned(self) -> Collection[str]:
        """The namespaces that are being scanned."""
        return self._postponed.keys()

    def begin_scan(self, namespaces: Iterable[str]) -> None:
        """Take note that namespaces are being scanned."""
        for namespace in namespaces:
            self._postponed[namespace] = {}

    def end_scan(self, namespace: str) -> list[Job]:
        """Take note that a scan has ended. Returns the postponed jobs without a lease, in the order of their
        queues."""
        jobs = self._postponed.pop(namespace).values()
        waiting = (job for job in jobs if job.job_id not in self._leases and job.ready_at is not None)
        return sorted(waiting, key=lambda job: (-job.priority, job.ready_at))

    def postpone(self, job: Job) -> bool:
        """Keep a claimable job until the scan of its namespace ends. False if there is none, or too much is
        kept."""
        kept = self._postponed.get(job.namespace)
        if kept is None or len(kept) >= MAX_POSTPONED:
            return False
        kept[job.job_id] = job
        return True

    def note_room(self, namespace: str) -> None:
        """Take note that workers may have more room than was counted."""
        self._places.pop(namespace, None)

    def choose(self, job: Job) -> Consumer | None:
        """The worker that may take a job at once: of those whose turn it is, the one with the most room."""
        namespace, job_type = queue = queue_of(job)
        if namespace in self._postponed or self._search.is_pending(namespace):
            return None
        if job.job_id in self._leases or self._concurrency.limit(queue) is not None:
            return None
        idle = [group for group in self._consumers.takers(namespace).get(job_type, ()) if not group.waiting]
        if not idle:
            return None
        places = self._places.get(namespace)
        if places is None:
            places = self._places[namespace] = Places(self._consumers.with_room(namespace))
        consumer = places.take(job_type, [group.job_types for group in idle])
        # Since the places were counted, the worker may have left or become silent.
        if consumer is None or consumer.room() <= 0 or not self._consumers.still_connected([consumer]):
            return None
        return consumer
