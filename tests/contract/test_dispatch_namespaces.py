"""Neither the size nor the slowness of one namespace delays the dispatch of another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from askback_server.engine import dispatch
from askback_server.engine.concurrency import Concurrency
from askback_server.engine.consumers import Consumers
from askback_server.engine.dispatch import Dispatcher
from tests.contract.test_dispatch import put
from tests.support.fake_worker import FakeWorker, dispatching
from tests.support.storage import Node, until


class BlockingQueue:
    """The queue of a node: records each read, and blocks those of one namespace until `release` is set."""

    def __init__(self, queue: Any, slow: str = "") -> None:
        self._queue = queue
        self._slow = slow
        self.release = asyncio.Event()
        self.reads: list[tuple[str, int]] = []

    async def claimable(self, namespace: str, limits: Mapping[str, int]) -> dict[str, list[str]]:
        self.reads.append((namespace, len(limits)))
        if namespace == self._slow:
            await self.release.wait()
        found: dict[str, list[str]] = await self._queue.claimable(namespace, limits)
        return found


async def test_a_slow_read_of_one_namespace_does_not_delay_another(here: Node) -> None:
    await put(here, 1, namespace="slow")
    await put(here, 20, namespace="quick")
    async with dispatching(here) as dispatcher:
        queue = dispatcher._queue = BlockingQueue(here.database.queue, "slow")  # type: ignore[assignment]
        slow = FakeWorker(await here.session(namespace="slow"), "refund", maximum=9, namespace="slow")
        dispatcher.add(slow)
        await until(lambda: ("slow", 1) in queue.reads, "the slow namespace is read")
        quick = FakeWorker(await here.session(namespace="quick"), "refund", maximum=20, namespace="quick")
        dispatcher.add(quick)
        await until(lambda: len(quick.taken) == 20, "the quick namespace's jobs are taken")
        assert not slow.taken
        queue.release.set()
        await until(lambda: slow.taken, "the slow namespace's jobs are taken too")


async def test_thousands_of_job_types_are_read_in_portions(here: Node) -> None:
    """The jobs of all types are found, a bounded number of types per read, with other namespaces between."""
    types = [f"type{n:05}" for n in range(3_000)]
    for job_type in (types[0], types[1_500], types[-1]):
        await put(here, 1, namespace="many", job_type=job_type)
    await put(here, 1, namespace="small")
    workers = [
        FakeWorker(await here.session(namespace="many"), *types[at : at + 500], maximum=1, namespace="many")
        for at in range(0, len(types), 500)
    ]
    small = FakeWorker(await here.session(namespace="small"), "refund", maximum=1, namespace="small")
    async with dispatching(here) as dispatcher:
        queue = dispatcher._queue = BlockingQueue(here.database.queue, "many")  # type: ignore[assignment]
        for worker in workers:
            dispatcher.add(worker)
        await until(lambda: queue.reads, "the first portion is read")
        dispatcher.add(small)
        queue.release.set()
        await until(lambda: small.taken, "the small namespace's job is taken")
        await until(
            lambda: sum(len(worker.taken) for worker in workers) == 3, "the jobs of all types are taken"
        )
        reads = [namespace for namespace, _ in queue.reads]
        # The portion in progress, and the next one if it was due at the same moment.
        assert reads.index("small") <= 2
        assert max(count for _, count in queue.reads) <= dispatch.MAX_JOB_TYPES


async def test_a_change_in_one_namespace_does_not_cause_a_read_of_another(here: Node) -> None:
    queue: Any = BlockingQueue(here.database.queue)
    concurrency = Concurrency({}, here.database.queue_locks, here.clock)
    dispatcher = Dispatcher(here.engine, queue, Consumers(), here.clock, concurrency)

    async def read_namespaces() -> list[str]:
        queue.reads.clear()
        dispatcher._start_scans()
        await asyncio.gather(*dispatcher._tasks)
        return [namespace for namespace, _ in queue.reads]

    for namespace in ("busy", "idle"):
        dispatcher.add(
            FakeWorker(await here.session(namespace=namespace), "t", maximum=99, namespace=namespace)
        )
    assert await read_namespaces() == ["busy", "idle"]
    assert await read_namespaces() == []
    dispatcher._request_scan("busy")
    assert await read_namespaces() == ["busy"]
