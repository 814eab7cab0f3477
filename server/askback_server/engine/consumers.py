"""The workers that take jobs here, by namespace, and which of their job types are looked at next."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from askback_server.domain.commands import SessionRef
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal


class Consumer(Protocol):
    """A worker that takes jobs: a stream's session, or a unary call that waits."""

    principal: Principal
    session: SessionRef
    worker_id: str
    namespace: str
    job_types: frozenset[str]

    def room(self) -> int:
        """How many more jobs it takes now."""

    def reserve(self, change: int) -> None:
        """A lease is being tried for it (+1), or is decided (-1)."""

    def accept_lease(self, job: Job) -> None:
        """The job is its own."""

    def note_queues_read(self, job_types: Collection[str]) -> None:
        """The queues of these job types have been read for it; what it gets of them is reserved."""


class Consumers:
    """Iterates in the order of arrival."""

    def __init__(self) -> None:
        self._by_namespace: dict[str, dict[Consumer, None]] = {}
        self._rounds: dict[str, deque[str]] = {}
        """What is left of a round over the job types of a namespace that has many."""

    def __len__(self) -> int:
        return sum(map(len, self._by_namespace.values()))

    def __iter__(self) -> Iterator[Consumer]:
        return chain.from_iterable(list(self._by_namespace.values()))

    @property
    def namespaces(self) -> Collection[str]:
        """Those with a consumer."""
        return self._by_namespace.keys()

    def add(self, consumer: Consumer) -> None:
        """A worker arrives."""
        self._by_namespace.setdefault(consumer.namespace, {})[consumer] = None

    def discard(self, consumer: Consumer) -> None:
        """A worker leaves."""
        home = self._by_namespace.get(consumer.namespace, {})
        home.pop(consumer, None)
        if not home:
            self._by_namespace.pop(consumer.namespace, None)
            self._rounds.pop(consumer.namespace, None)

    def of(self, namespace: str) -> Iterable[Consumer]:
        """The consumers of a namespace."""
        return self._by_namespace.get(namespace, ())

    def still_here(self, consumers: Sequence[Consumer]) -> list[Consumer]:
        """Those of these consumers of one namespace that have not left."""
        return [
            consumer for consumer in consumers if consumer in self._by_namespace.get(consumer.namespace, ())
        ]

    def with_room(self, namespace: str) -> list[Consumer]:
        """Those that take a job now."""
        return [consumer for consumer in self.of(namespace) if consumer.room() > 0]

    def next_types(self, consumers: Sequence[Consumer], most: int) -> tuple[set[str], bool]:
        """The job types that these consumers of one namespace take, and whether they are the last of a round.

        At most so many at once: the next call goes on where this one ended.
        """
        namespace = consumers[0].namespace
        left = self._rounds.pop(namespace, None)
        if left is None:
            types = {job_type for consumer in consumers for job_type in consumer.job_types}
            if len(types) <= most:
                return types, True
            left = deque(sorted(types))
        some = {left.popleft() for _ in range(min(most, len(left)))}
        if left:
            self._rounds[namespace] = left
        return some, not left
