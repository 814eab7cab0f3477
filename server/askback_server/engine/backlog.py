"""The queues that may have claimable jobs which no scan has found yet."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from itertools import count

from askback_server.engine.concurrency import QueueKey
from askback_server.engine.consumers import Consumers, Group

MAX_QUEUES = 64
"""Queues per scan, so that no statement takes long."""
MAX_SERVED_QUEUES = 10_000
"""Queues whose last lease is remembered, to choose the one served longest ago."""


class Backlog:
    """Queues to scan, kept by the groups of workers that take them. A queue leaves when it is taken for a
    scan, and comes back when a commit makes a job of it claimable, when a scan has left jobs in it, and when
    the search has found it.

    Queues of one namespace come in the order of their last lease, longest ago first; namespaces in turn. To
    plan a scan costs the queues that it takes, and the workers of their namespaces, however many queues wait.
    """

    def __init__(self, consumers: Consumers) -> None:
        self._consumers = consumers
        self._due: dict[str, None] = {}
        """Namespaces that may have a queue and a worker with room for it, the one due longest first."""
        self._last_served: dict[QueueKey, int] = {}
        self._lease_numbers = count(1)

    def __bool__(self) -> bool:
        return bool(self._due)

    def mark(self, namespace: str, queues: Mapping[str, bool]) -> None:
        """Scan those of these queues that a worker takes. The value says whether a queue is known to have a
        job; then it takes a place in a scan."""
        takers = self._consumers.takers(namespace)
        for job_type, has_jobs in queues.items():
            for group in takers.get(job_type, ()):
                group.waiting.add(job_type, self.turn((namespace, job_type)), has_jobs=has_jobs)
                self._due[namespace] = None

    def note_room(self, namespace: str) -> None:
        """A worker of the namespace may have room again: scan what waits."""
        if any(group.waiting for group in self._consumers.groups(namespace)):
            self._due[namespace] = None

    def plan_scan(self, free: int, busy: Collection[str]) -> dict[str, list[str]]:
        """Take the job types of the next scan, by namespace; none if no worker with room takes what waits.

        `free` is the number of scans that may still start: where more namespaces are due, a scan takes its
        share of them. `busy` namespaces are left out, and due again after `note_room`.
        """
        share = -(-len(self._due) // free)
        planned: dict[str, list[str]] = {}
        left = MAX_QUEUES
        while self._due and left and len(planned) < share:
            namespace = next(iter(self._due))
            del self._due[namespace]
            if namespace not in busy and (types := self._take(namespace, left)):
                planned[namespace] = types
                left -= len(types)
        return planned

    def _take(self, namespace: str, maximum: int) -> list[str]:
        """Take at most `maximum` job types that a worker with room takes: of those known to have jobs no
        more than there is room for."""
        takers = self._consumers.takers(namespace)
        groups = list(self._consumers.groups(namespace))
        rooms = {group: group.room() for group in groups} if any(group.waiting for group in groups) else {}
        heads = [
            (*head, n)
            for n, group in enumerate(groups)
            if rooms.get(group, 0) > 0 and (head := self._first(namespace, group))
        ]
        heapq.heapify(heads)
        taken: list[str] = []
        while heads and len(taken) < maximum:
            _, job_type, n = heapq.heappop(heads)
            group = groups[n]
            if rooms[group] > 0 and job_type in group.waiting:
                able = takers[job_type]
                rooms[max(able, key=rooms.__getitem__)] -= any(g.waiting.has_jobs(job_type) for g in able)
                for each in able:
                    each.waiting.remove(job_type)
                taken.append(job_type)
            if rooms[group] > 0 and (head := self._first(namespace, group)):
                heapq.heappush(heads, (*head, n))
        return taken

    def _first(self, namespace: str, group: Group) -> tuple[int, str] | None:
        return group.waiting.first(lambda job_type: self.turn((namespace, job_type)))

    def note_lease(self, queue: QueueKey) -> None:
        """A job of the queue is being leased: it is now the queue served last."""
        self._last_served.pop(queue, None)
        self._last_served[queue] = next(self._lease_numbers)
        if len(self._last_served) > MAX_SERVED_QUEUES:
            del self._last_served[next(iter(self._last_served))]

    def turn(self, queue: QueueKey) -> int:
        """The number of the queue's last lease; a lower one was longer ago."""
        return self._last_served.get(queue, 0)
