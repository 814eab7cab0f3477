"""The workers connected to this replica that receive leases, by namespace and job types."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from askback_server.domain.commands import SessionRef
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal
from askback_server.engine.waiting_queues import WaitingQueues


class Consumer(Protocol):
    """A worker that receives leases: a Work stream, or a LeaseJobs call that waits."""

    principal: Principal
    session: SessionRef
    worker_id: str
    namespace: str
    job_types: frozenset[str]

    def room(self) -> int:
        """The number of further jobs that it can take now."""

    def reserve(self, change: int) -> None:
        """Count lease attempts in progress: +1 when one begins, -1 when it is decided."""

    def accept_lease(self, job: Job) -> None:
        """Take over a job: its lease is committed."""

    def note_queues_read(self, job_types: Collection[str]) -> None:
        """The queues of these job types have been scanned for it; each job that it gets from them is already
        reserved."""


@dataclass(slots=True, eq=False)
class Group:
    """The consumers of one namespace that take the same job types, in order of arrival."""

    job_types: frozenset[str]
    consumers: dict[Consumer, None] = field(default_factory=dict)
    waiting: WaitingQueues = field(default_factory=WaitingQueues)
    """Its queues that wait for a scan. Each of them waits at all groups that take it."""

    def room(self) -> int:
        """The number of further jobs that its consumers can take now."""
        return sum(max(0, consumer.room()) for consumer in self.consumers)


class Places:
    """The room of some consumers of a namespace while jobs are distributed among them: the one with the most
    room is next. A job costs the same for any number of equal workers."""

    def __init__(self, consumers: Sequence[Consumer]) -> None:
        self._heaps: dict[frozenset[str], list[tuple[int, int, Consumer]]] = {}
        """By job types: consumers with their negative room."""
        for n, consumer in enumerate(consumers):
            if (room := consumer.room()) > 0:
                self._heaps.setdefault(consumer.job_types, []).append((-room, n, consumer))
        for heap in self._heaps.values():
            heapq.heapify(heap)

    def take(self, job_type: str, groups: Collection[frozenset[str]] | None = None) -> Consumer | None:
        """Take a place for a job, only at consumers of these `groups` if they are given; None if none of its
        type has room."""
        able = [kinds for kinds in self._heaps if job_type in kinds] if groups is None else groups
        heaps = [heap for job_types in able if (heap := self._heaps.get(job_types))]
        if not heaps:
            return None
        heap = min(heaps, key=lambda heap: heap[0][:2])
        taken, n, consumer = heap[0]
        if taken < -1:
            heapq.heapreplace(heap, (taken + 1, n, consumer))
        else:
            heapq.heappop(heap)
        return consumer


class Consumers:
    """All consumers of this replica. Fleets of equal workers are a group each, so that what is asked for each
    job type costs the same for any number of workers."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[frozenset[str], Group]] = {}
        self._takers: dict[str, dict[str, list[Group]]] = {}

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Consumer]:
        groups = [group for groups in self._groups.values() for group in groups.values()]
        return iter([consumer for group in groups for consumer in group.consumers])

    @property
    def namespaces(self) -> Collection[str]:
        """The namespaces that have a consumer."""
        return self._groups.keys()

    def add(self, consumer: Consumer) -> None:
        """Add a consumer."""
        groups = self._groups.setdefault(consumer.namespace, {})
        group = groups.get(consumer.job_types)
        if group is None:
            group = groups[consumer.job_types] = Group(consumer.job_types)
            takers = self._takers.setdefault(consumer.namespace, {})
            for job_type in consumer.job_types:
                takers.setdefault(job_type, []).append(group)
        group.consumers[consumer] = None

    def discard(self, consumer: Consumer) -> None:
        """Remove a consumer, if it is present."""
        groups = self._groups.get(consumer.namespace, {})
        group = groups.get(consumer.job_types)
        if group is None or consumer not in group.consumers:
            return
        del group.consumers[consumer]
        if group.consumers:
            return
        del groups[consumer.job_types]
        takers = self._takers[consumer.namespace]
        for job_type in consumer.job_types:
            takers[job_type].remove(group)
            if not takers[job_type]:
                del takers[job_type]
        if not groups:
            del self._groups[consumer.namespace], self._takers[consumer.namespace]

    def groups(self, namespace: str) -> Collection[Group]:
        """The groups of a namespace."""
        return self._groups.get(namespace, {}).values()

    def wanted(self, namespace: str) -> list[frozenset[str]]:
        """The job types of each group of a namespace that has room."""
        groups = self._groups.get(namespace, {})
        return [job_types for job_types, group in groups.items() if group.room() > 0]

    def takers(self, namespace: str) -> Mapping[str, Sequence[Group]]:
        """The groups of a namespace by each job type that they take."""
        return self._takers.get(namespace, {})

    def still_connected(self, consumers: Sequence[Consumer]) -> list[Consumer]:
        """The given consumers, without those that have been removed."""
        present = self._groups
        return [
            c
            for c in consumers
            if (group := present.get(c.namespace, {}).get(c.job_types)) is not None and c in group.consumers
        ]

    def with_room(self, namespace: str) -> list[Consumer]:
        """The consumers of a namespace that can take a job now."""
        return [c for group in self.groups(namespace) for c in group.consumers if c.room() > 0]
