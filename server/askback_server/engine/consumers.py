"""The workers connected to this replica that receive leases, by namespace."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from askback_server.domain.commands import SessionRef
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal


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


class Consumers:
    """All consumers of this replica. Iterates in order of arrival within each namespace."""

    def __init__(self) -> None:
        self._by_namespace: dict[str, dict[Consumer, None]] = {}
        self._rounds: dict[str, deque[str]] = {}
        """Job types still to come in the current round, for namespaces with more than fit in one scan."""

    def __len__(self) -> int:
        return sum(map(len, self._by_namespace.values()))

    def __iter__(self) -> Iterator[Consumer]:
        return chain.from_iterable(list(self._by_namespace.values()))

    @property
    def namespaces(self) -> Collection[str]:
        """The namespaces that have a consumer."""
        return self._by_namespace.keys()

    def add(self, consumer: Consumer) -> None:
        """Add a consumer."""
        self._by_namespace.setdefault(consumer.namespace, {})[consumer] = None

    def discard(self, consumer: Consumer) -> None:
        """Remove a consumer, if it is present."""
        peers = self._by_namespace.get(consumer.namespace, {})
        peers.pop(consumer, None)
        if not peers:
            self._by_namespace.pop(consumer.namespace, None)
            self._rounds.pop(consumer.namespace, None)

    def of(self, namespace: str) -> Iterable[Consumer]:
        """The consumers of a namespace."""
        return self._by_namespace.get(namespace, ())

    def still_connected(self, consumers: Sequence[Consumer]) -> list[Consumer]:
        """The given consumers of one namespace, without those that have been removed."""
        return [c for c in consumers if c in self._by_namespace.get(c.namespace, ())]

    def with_room(self, namespace: str) -> list[Consumer]:
        """The consumers of a namespace that can take a job now."""
        return [consumer for consumer in self.of(namespace) if consumer.room() > 0]

    def next_types(self, consumers: Sequence[Consumer], maximum: int) -> tuple[set[str], bool]:
        """The next job types to scan for these consumers of one namespace, and whether they complete a round.

        Returns at most `maximum` types; the next call continues after them.
        """
        namespace = consumers[0].namespace
        left = self._rounds.pop(namespace, None)
        if left is None:
            types = {job_type for consumer in consumers for job_type in consumer.job_types}
            if len(types) <= maximum:
                return types, True
            left = deque(sorted(types))
        some = {left.popleft() for _ in range(min(maximum, len(left)))}
        if left:
            self._rounds[namespace] = left
        return some, not left
