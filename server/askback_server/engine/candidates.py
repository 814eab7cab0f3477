"""Reads the first jobs of queues: the candidates of a scan."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from askback_server.engine.concurrency import Concurrency, QueueKey
from askback_server.engine.consumers import Consumer
from askback_server.engine.leases_in_progress import LeasesInProgress
from askback_server.engine.spread import Spread
from askback_server.ports.storage import WorkQueue

MAX_CANDIDATES = 200
"""Candidates read per namespace and scan, divided among the job types; each gets at least one."""


@dataclass(slots=True)
class Candidates:
    """The jobs that a scan has found."""

    ids: dict[QueueKey, deque[str]] = field(default_factory=dict)
    """Those that may be leased, by queue in its order."""
    cut: set[QueueKey] = field(default_factory=set)
    """Queues that may have more than was read."""

    def left(self) -> list[QueueKey]:
        """The queues that may have jobs besides those taken from `ids`."""
        return [queue for queue, ids in self.ids.items() if ids or queue in self.cut]


class CandidateReader:
    """Reads candidates for the workers of a replica."""

    def __init__(self, queue: WorkQueue, leases: LeasesInProgress, concurrency: Concurrency) -> None:
        self._queue = queue
        self._leases = leases
        self._concurrency = concurrency
        self._spread = Spread(MAX_CANDIDATES)

    def note_lost_race(self, queue: QueueKey) -> None:
        """Another replica got a job of the queue first."""
        self._spread.widen(queue)

    async def read(
        self, planned: Mapping[str, Sequence[str]], consumers: Mapping[str, Sequence[Consumer]]
    ) -> Candidates:
        """Read the queues of these namespaces and job types that are open, as many jobs as the consumers of
        each namespace have room for, and some more. Raises StorageUnavailable."""
        limits: dict[QueueKey, int] = {}
        shares: dict[QueueKey, int] = {}
        for namespace, types in planned.items():
            room = min(2 * sum(consumer.room() for consumer in consumers[namespace]), MAX_CANDIDATES)
            for queue in [(namespace, job_type) for job_type in types]:
                if self._concurrency.is_open(queue):
                    shares[queue] = max(1, room // len(types))
                    # Jobs with a lease in progress are still claimable in the database: read as many more.
                    limits[queue] = shares[queue] + self._spread.more(queue) + self._leases.count(queue)
        candidates = Candidates()
        for queue, ids in (await self._queue.claimable(limits)).items():
            untried = deque(i for i in ids if i not in self._leases)
            self._spread.step_aside(queue, untried, shares[queue])
            candidates.ids[queue] = untried
            if len(ids) == limits[queue]:
                candidates.cut.add(queue)
        return candidates
