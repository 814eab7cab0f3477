"""A worker for tests of the dispatch: it takes what it is given, and a test says when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from askback_server.domain.commands import CompleteJob, SessionRef
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal
from askback_server.engine.concurrency import Concurrency
from askback_server.engine.consumers import Consumers
from askback_server.engine.dispatch import Dispatcher
from tests.support.aggregates import WORKER
from tests.support.storage import Node


class Hand:
    """A Consumer of so many jobs at once. `taken` keeps all that it was ever given, in order."""

    def __init__(self, session: SessionRef, *job_types: str, most: int, namespace: str = "default") -> None:
        self.principal: Principal = replace(WORKER, namespaces=(namespace,))
        self.session = session
        self.worker_id = "w"
        self.namespace = namespace
        self.job_types = frozenset(job_types)
        self.taken: list[Job] = []
        self.held = 0
        self.most = most
        self.got: Callable[[Job], None] = lambda job: None
        self._reserved = 0

    def room(self) -> int:
        """How many more jobs it takes now."""
        return self.most - self.held - self._reserved

    def reserve(self, change: int) -> None:
        """A lease is being tried, or is decided."""
        self._reserved += change
        assert self._reserved >= 0

    def accept_lease(self, job: Job) -> None:
        """The job is its own."""
        self.taken.append(job)
        self.held += 1
        self.got(job)

    def note_queues_read(self, job_types: Collection[str]) -> None:
        """It waits for as long as it stays."""

    @property
    def types_taken(self) -> list[str]:
        """The types of all that it was given, in order."""
        return [job.job_type for job in self.taken]


@asynccontextmanager
async def dispatching(node: Node, limits: Mapping[str, int] | None = None) -> AsyncIterator[Dispatcher]:
    """The dispatch of a replica, which runs. `limits` as in Concurrency."""
    concurrency = Concurrency(limits or {}, node.database.queue_locks, node.clock)
    dispatcher = Dispatcher(node.engine, node.database.queue, Consumers(), node.clock, concurrency)
    node.bus.follow_batches(dispatcher.on_commit)
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def finish(node: Node, dispatcher: Dispatcher, hand: Hand, job: Job) -> None:
    """Complete a job that the hand was given; it has room again."""
    await node.do(CompleteJob(principal=hand.principal, job_id=job.job_id, token=job.token))
    hand.held -= 1
    dispatcher.wake()
