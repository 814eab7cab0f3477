"""The queues that may have claimable jobs which no scan has found yet."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from itertools import count

from askback_server.engine.concurrency import QueueKey
from askback_server.engine.consumers import Consumers

MAX_QUEUES = 64
"""Queues per scan, so that no statement takes long."""
MAX_SERVED_QUEUES = 10_000
"""Queues whose last lease is remembered, to choose the one served longest ago."""


class Backlog:
    """Queues to scan. A queue leaves when it is taken for a scan, and comes back when a commit makes a job of
    it claimable, when the scan has left jobs in it, and with every poll.

    Queues of one namespace come in the order of their last lease, longest ago first; namespaces in turn.
    """

    def __init__(self, consumers: Consumers) -> None:
        self._consumers = consumers
        self._waiting: dict[str, dict[str, bool]] = {}
        """By namespace and job type: whether the queue is known to have a job. The namespace scanned longest
        ago comes first."""
        self._last_served: dict[QueueKey, int] = {}
        self._lease_numbers = count(1)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def mark(self, namespace: str, job_types: Iterable[str], *, has_jobs: bool) -> None:
        """Scan these queues. `has_jobs`: each is known to have a job, and takes a place in a scan."""
        waiting = self._waiting.setdefault(namespace, {})
        for job_type in job_types:
            waiting[job_type] = has_jobs or waiting.get(job_type, False)
        if not waiting:
            del self._waiting[namespace]

    def plan_scan(self, free: int, busy: Collection[str]) -> dict[str, list[str]]:
        """Take the job types of the next scan, by namespace; none if no worker with room takes what waits.

        `free` is the number of scans that may still start: where more namespaces wait, a scan takes its share
        of them. `busy` namespaces are left out.
        """
        able = []
        for namespace in list(self._waiting):
            if namespace not in self._consumers.namespaces:
                del self._waiting[namespace]
            elif namespace not in busy and self._consumers.with_room(namespace):
                able.append(namespace)
        planned: dict[str, list[str]] = {}
        left = MAX_QUEUES
        for namespace in able[: -(-len(able) // free)]:
            if types := self._take(namespace, left):
                planned[namespace] = types
                left -= len(types)
        return planned

    def _take(self, namespace: str, maximum: int) -> list[str]:
        """Take at most `maximum` job types that a worker with room takes: of those known to have jobs no
        more than there is room for."""
        waiting, takers = self._waiting.pop(namespace), self._consumers.takers(namespace)
        for job_type in waiting.keys() - takers.keys():
            del waiting[job_type]
        rooms = {group: group.room() for group in self._consumers.groups(namespace)}
        able = [
            (self.turn((namespace, job_type)), job_type)
            for job_type in waiting
            if any(rooms[group] > 0 for group in takers[job_type])
        ]
        heapq.heapify(able)
        taken: list[str] = []
        while able and len(taken) < maximum:
            _, job_type = heapq.heappop(able)
            group = max(takers[job_type], key=rooms.__getitem__)
            if rooms[group] > 0:
                rooms[group] -= waiting.pop(job_type)
                taken.append(job_type)
        if waiting:
            self._waiting[namespace] = waiting
        return taken

    def note_lease(self, queue: QueueKey) -> None:
        """A job of the queue is being leased: it is now the queue served last."""
        self._last_served.pop(queue, None)
        self._last_served[queue] = next(self._lease_numbers)
        if len(self._last_served) > MAX_SERVED_QUEUES:
            del self._last_served[next(iter(self._last_served))]

    def turn(self, queue: QueueKey) -> int:
        """The number of the queue's last lease; a lower one was longer ago."""
        return self._last_served.get(queue, 0)
