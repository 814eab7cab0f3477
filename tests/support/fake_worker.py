"""A fake worker for tests of the dispatcher: it accepts jobs, and the test completes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from askback_server.domain.commands import CompleteJob, SessionRef
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal
from askback_server.engine.concurrency import Concurrency
from askback_server.engine.consumers import Consumers
from askback_server.engine.dispatch import Dispatcher
from tests.support.aggregates import WORKER
from tests.support.storage import Node


class FakeWorker:
    """A Consumer of at most `maximum` jobs at once. `taken` lists all jobs it has ever received, in order."""

    def __init__(
        self, session: SessionRef, *job_types: str, maximum: int, namespace: str = "default"
    ) -> None:
        self.principal: Principal = replace(WORKER, namespaces=(namespace,))
        self.session = session
        self.worker_id = "w"
        self.namespace = namespace
        self.job_types = frozenset(job_types)
        self.taken: list[Job] = []
        self.held = 0
        self.maximum = maximum
        self.got: Callable[[Job], None] = lambda job: None
        self._reserved = 0

    def room(self) -> int:
        """The number of further jobs it would accept now."""
        return self.maximum - self.held - self._reserved

    def reserve(self, change: int) -> None:
        """Reserve room for a lease in progress (+1), or give it back (-1)."""
        self._reserved += change
        assert self._reserved >= 0

    def accept_lease(self, job: Job) -> None:
        """Accept a leased job."""
        self.taken.append(job)
        self.held += 1
        self.got(job)

    def note_queues_read(self, job_types: Collection[str]) -> None:
        """Ignored: this worker waits until the test ends."""

    @property
    def types_taken(self) -> list[str]:
        """The types of all jobs it has received, in order."""
        return [job.job_type for job in self.taken]


def new_dispatcher(node: Node, limits: Mapping[str, int] | None = None, queue: Any = None) -> Dispatcher:
    """A dispatcher that learns of the commits of a replica. It reads `queue`, or that of the replica."""
    concurrency = Concurrency(limits or {}, node.database.queue_locks, node.clock)
    queue = queue or node.database.queue
    dispatcher = Dispatcher(node.engine, queue, Consumers(), node.clock, concurrency)
    node.bus.follow_batches(dispatcher.on_commit)
    node.engine.lease_at_once(dispatcher.choose_worker)
    return dispatcher


@asynccontextmanager
async def dispatching(
    node: Node, limits: Mapping[str, int] | None = None, queue: Any = None
) -> AsyncIterator[Dispatcher]:
    """Run the dispatcher of a replica, with the `limits` of a Concurrency."""
    dispatcher = new_dispatcher(node, limits, queue)
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def finish(node: Node, dispatcher: Dispatcher, worker: FakeWorker, job: Job) -> None:
    """Complete a job, so that the worker has room for another."""
    await node.do(CompleteJob(principal=worker.principal, job_id=job.job_id, token=job.token))
    worker.held -= 1
    dispatcher.wake(worker.namespace)
