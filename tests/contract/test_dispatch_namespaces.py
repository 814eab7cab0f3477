"""Neither the size nor the slowness of one namespace delays the dispatch of another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from askback_server.engine.concurrency import QueueKey
from askback_server.engine.dispatch import Dispatcher
from askback_server.feed.announcing import announce
from tests.contract.test_dispatch import put
from tests.support.fake_worker import FakeWorker, dispatching, finish, new_dispatcher
from tests.support.storage import Node
from tests.support.waiting import until


class BlockingQueue:
    """The queue of a node: records the searches, and the queues of each read, and blocks reads of one
    namespace until `release` is set."""

    def __init__(self, queue: Any, slow: str = "") -> None:
        self._queue = queue
        self._slow = slow
        self.release = asyncio.Event()
        self.reads: list[set[QueueKey]] = []
        self.searches: list[Mapping[str, str]] = []

    async def list_queues(self, after: Mapping[str, str], limit: int) -> dict[str, dict[str, bool]]:
        self.searches.append(dict(after))
        found: dict[str, dict[str, bool]] = await self._queue.list_queues(after, limit)
        return found

    async def claimable(self, limits: Mapping[QueueKey, int]) -> dict[QueueKey, list[str]]:
        self.reads.append(set(limits))
        if self._slow in self.namespaces[-1]:
            await self.release.wait()
        found: dict[QueueKey, list[str]] = await self._queue.claimable(limits)
        return found

    @property
    def namespaces(self) -> list[set[str]]:
        """The namespaces of each read."""
        return [{namespace for namespace, _ in queues} for queues in self.reads]


async def test_a_slow_read_of_one_namespace_does_not_delay_another(here: Node) -> None:
    await put(here, 1, namespace="slow")
    await put(here, 20, namespace="quick")
    queue = BlockingQueue(here.database.queue, "slow")
    async with dispatching(here, queue=queue) as dispatcher:
        slow = FakeWorker(await here.session(namespace="slow"), "refund", maximum=9, namespace="slow")
        dispatcher.add(slow)
        await until(lambda: {"slow"} in queue.namespaces, "the slow namespace is read")
        quick = FakeWorker(await here.session(namespace="quick"), "refund", maximum=20, namespace="quick")
        dispatcher.add(quick)
        await until(lambda: len(quick.taken) == 20, "the quick namespace's jobs are taken")
        assert not slow.taken
        queue.release.set()
        await until(lambda: slow.taken, "the slow namespace's jobs are taken too")


async def settle(dispatcher: Dispatcher) -> None:
    """Let the dispatcher do what it has to do now, without polls."""
    while dispatcher._tasks or dispatcher._backlog or dispatcher._search.is_due:
        dispatcher._start_scans()
        await asyncio.gather(*dispatcher._tasks)


async def test_of_thousands_of_job_types_those_with_jobs_are_read(here: Node) -> None:
    types = [f"type{n:05}" for n in range(3_000)]
    full = {types[0], types[1_500], types[-1]}
    for job_type in full:
        await put(here, 1, namespace="many", job_type=job_type)
    queue = BlockingQueue(here.database.queue)
    dispatcher = new_dispatcher(here, queue=queue)
    for at in range(0, len(types), 500):
        session = await here.session(namespace="many")
        dispatcher.add(FakeWorker(session, *types[at : at + 500], maximum=1, namespace="many"))
    await settle(dispatcher)
    assert [len(worker.types_taken) for worker in dispatcher._consumers] == [1, 0, 0, 1, 0, 1]  # type: ignore[attr-defined]
    assert queue.searches == [{"many": ""}]
    assert queue.reads == [{("many", job_type) for job_type in full}]


async def test_a_change_in_one_namespace_does_not_cause_a_read_of_another(here: Node) -> None:
    queue = BlockingQueue(here.database.queue)
    dispatcher = new_dispatcher(here, queue=queue)

    async def read_namespaces() -> list[set[str]]:
        queue.reads.clear()
        await settle(dispatcher)
        found: list[set[str]] = queue.namespaces
        return found

    for namespace in ("busy", "idle"):
        dispatcher.add(
            FakeWorker(await here.session(namespace=namespace), "t", maximum=99, namespace=namespace)
        )
    assert await read_namespaces() == [{"busy"}, {"idle"}]
    assert await read_namespaces() == []
    dispatcher._request_scan(("busy", "t"))
    assert await read_namespaces() == [{"busy"}]


async def test_many_namespaces_are_read_by_few_statements(here: Node) -> None:
    """A read takes its share of the namespaces that wait, and none waits for a round of the others."""
    names = [f"tenant{n:02}" for n in range(40)]
    for name in names:
        await put(here, 2, namespace=name)
    queue = BlockingQueue(here.database.queue)
    async with dispatching(here, queue=queue) as dispatcher:
        workers = [
            FakeWorker(await here.session(namespace=name), "refund", maximum=2, namespace=name)
            for name in names
        ]
        for worker in workers:
            dispatcher.add(worker)
        await until(lambda: all(len(worker.taken) == 2 for worker in workers), "all jobs are taken")
        reads = [namespaces for namespaces in queue.namespaces if len(namespaces) > 1]
        assert len(set.union(*reads)) == 40
        assert len(queue.reads) <= 12, queue.namespaces


async def test_a_job_costs_no_look_or_one_at_its_own_queue(here: Node, there: Node) -> None:
    """Also where a worker takes a thousand types. A job of this replica goes straight to the worker. An
    announcement leads to a read of the queue that it concerns."""
    types = [f"type{n:04}" for n in range(1_000)]
    queue = BlockingQueue(here.database.queue)
    dispatcher = new_dispatcher(here, queue=queue)
    worker = FakeWorker(await here.session(), *types, maximum=1_000)

    dispatcher.add(worker)
    await settle(dispatcher)
    assert len(queue.searches) == 1
    for job_type in types[::100]:
        await here.create(job_type=job_type)
        await until(lambda t=job_type: worker.types_taken[-1:] == [t], "it is leased")
    await settle(dispatcher)
    assert worker.types_taken == types[::100]
    assert not queue.reads
    for job_type in types[::200]:
        # By a clock that is behind: by one that is ahead the job would be announced as a delayed one.
        there.clock.observe(await there.database.ping() - timedelta(seconds=1))
        job = await there.create(job_type=job_type)
        dispatcher.on_announced([announce(committed) for committed in there.received if committed.job == job])
        await settle(dispatcher)
    assert worker.types_taken == types[::100] + types[::200]
    assert queue.reads == [{("default", job_type)} for job_type in types[::200]]
    assert len(queue.searches) == 1


async def test_a_read_takes_no_more_full_queues_than_there_is_room_for(here: Node) -> None:
    """The others keep their jobs, and their turn."""
    types = [f"type{n:02}" for n in range(30)]
    for job_type in types:
        await put(here, 3, job_type=job_type)
    queue = BlockingQueue(here.database.queue)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = FakeWorker(await here.session(), *types, maximum=2)
        dispatcher.add(worker)
        await until(lambda: len(worker.taken) == 2, "it is full")
        for n in range(2, 30):
            before = len(queue.reads)
            await finish(here, dispatcher, worker, worker.taken[n - 2])
            await until(lambda n=n: len(worker.taken) == n + 1, "it is full again")
            full = [len(queues) for queues in queue.reads[before:]]
            # A poll may have marked every queue between two of them.
            assert min(full) <= 2, full
    assert sorted(worker.types_taken) == types
