"""Dispatch is fair: the backlog of one queue (a namespace and a job type) does not starve another."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain.jobs import Job
from askback_server.engine import queue_search
from askback_server.engine.concurrency import QueueKey
from askback_server.engine.dispatch import Dispatcher
from askback_server.engine.spread import Spread
from tests.support.fake_worker import FakeWorker, dispatching, finish
from tests.support.rows import creation, new_job
from tests.support.storage import Node, get_job
from tests.support.waiting import until

SECOND = timedelta(seconds=1)


async def put(node: Node, count: int, batch: int = 500, **fields: object) -> None:
    """Create jobs that have been ready for a minute."""
    ready = await node.database.ping() - 60 * SECOND
    jobs = [new_job(ready_at=ready, created_at=ready, **fields) for _ in range(count)]
    for at in range(0, count, batch):
        assert not (await node.database.jobs.write([creation(j) for j in jobs[at : at + batch]])).lost


class JobCompleter:
    """Makes a worker complete each job as soon as it has received it and `may_complete` is true."""

    def __init__(
        self,
        node: Node,
        dispatcher: Dispatcher,
        worker: FakeWorker,
        may_complete: Callable[[], bool] = lambda: True,
    ) -> None:
        self.worker = worker
        self._work: set[asyncio.Task[None]] = set()

        async def complete_when_it_may(job: Job) -> None:
            await until(may_complete, "the job may be completed")
            await finish(node, dispatcher, worker, job)

        def complete(job: Job) -> None:
            task = asyncio.create_task(complete_when_it_may(job))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

        worker.got = complete
        dispatcher.add(worker)


async def test_the_backlog_of_a_namespace_does_not_starve_another(here: Node) -> None:
    """One tenant has 10,000 older and more urgent jobs, another has ten: the ten are done after not many
    more than ten of the others."""
    await put(here, 10_000, namespace="big", priority=100)
    await put(here, 10, namespace="small")
    async with dispatching(here) as dispatcher:
        big = FakeWorker(await here.session(namespace="big"), "refund", maximum=4, namespace="big")
        small = FakeWorker(await here.session(namespace="small"), "refund", maximum=4, namespace="small")
        JobCompleter(here, dispatcher, big)
        JobCompleter(here, dispatcher, small)
        await until(lambda: len(small.taken) == 10, "the small tenant's jobs are taken")
        assert len(big.taken) <= 200, len(big.taken)
        assert big.taken


async def test_the_backlog_of_a_type_does_not_starve_another_on_the_same_worker(here: Node) -> None:
    """The queue that was served least recently comes first, whatever the priority of the others."""
    await put(here, 2_000, job_type="mail", priority=1_000)
    await put(here, 10, job_type="refund")
    async with dispatching(here) as dispatcher:
        worker = FakeWorker(await here.session(), "mail", "refund", "nothing", maximum=4)
        JobCompleter(here, dispatcher, worker)
        await until(lambda: worker.types_taken.count("refund") == 10, "the jobs of the small type are taken")
        others = worker.types_taken.index("refund"), worker.types_taken.count("mail")
        assert others[0] <= 1
        assert others[1] <= 40, Counter(worker.types_taken)
        # Alone again, the backlog gets all the capacity.
        before = len(worker.taken)
        await until(lambda: len(worker.taken) >= before + 100, "the other jobs are taken")
        assert set(worker.types_taken[before:]) == {"mail"}


async def test_many_job_types_share_a_small_capacity_evenly(here: Node) -> None:
    """There are more types than one read covers: all are served in turn, and no capacity is left unused."""
    types = [f"type{i:03}" for i in range(150)]
    for job_type in types:
        await put(here, 4, job_type=job_type)
    async with dispatching(here) as dispatcher:
        worker = FakeWorker(await here.session(), *types, maximum=20)
        JobCompleter(here, dispatcher, worker)
        await until(lambda: len(worker.taken) >= 300, "half of the jobs are taken")
        assert max(Counter(worker.types_taken[:150]).values()) <= 2
        await until(lambda: len(worker.taken) == 600, "all jobs are taken")


async def test_one_queue_fills_all_capacity_when_the_others_are_empty(here: Node) -> None:
    await put(here, 300)
    async with dispatching(here) as dispatcher:
        worker = FakeWorker(await here.session(), "refund", *(f"none{i}" for i in range(50)), maximum=250)
        dispatcher.add(worker)
        await until(lambda: len(worker.taken) == 250, "the free capacity is filled")
        assert worker.room() == 0


async def test_a_worker_that_leaves_during_a_queue_read_is_leased_nothing(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session would hold the job until it expires."""
    own, reading, may_read = here.database.queue.claimable, asyncio.Event(), asyncio.Event()

    async def claimable(*args: Any) -> dict[QueueKey, list[str]]:
        reading.set()
        await may_read.wait()
        return await own(*args)

    monkeypatch.setattr(here.database.queue, "claimable", claimable)
    await put(here, 1)
    async with dispatching(here) as dispatcher:
        leaves, stays = [FakeWorker(await here.session(), "refund", maximum=1) for _ in range(2)]
        dispatcher.add(leaves)
        await reading.wait()
        dispatcher.remove(leaves)
        dispatcher.add(stays)
        may_read.set()
        await until(lambda: leaves.taken or stays.taken, "the job is leased")
        assert [len(worker.taken) for worker in (leaves, stays)] == [0, 1]


async def test_freed_capacity_is_filled_at_once(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that did not fit is leased when a place becomes free, without waiting for the next poll."""
    monkeypatch.setattr(queue_search, "POLL_SECONDS", 3_600.0)
    await put(here, 2)
    await put(here, 2, job_type="mail")
    async with dispatching(here) as dispatcher:
        worker = FakeWorker(await here.session(), "refund", "mail", maximum=3)
        dispatcher.add(worker)
        await until(lambda: worker.held == 3, "three are taken")
        await finish(here, dispatcher, worker, worker.taken[0])
        await until(lambda: len(worker.taken) == 4, "the fourth is taken")


async def test_jobs_of_a_queue_are_leased_by_priority_then_age(here: Node) -> None:
    ready = await here.database.ping() - 60 * SECOND
    jobs = [new_job(priority=p, ready_at=ready + a * SECOND) for p in (0, 5) for a in (3, 1, 2)]
    await here.database.jobs.write([creation(j) for j in jobs])
    expected = sorted(jobs, key=lambda j: (-j.priority, j.ready_at or ready))
    async with dispatching(here) as dispatcher:
        worker = FakeWorker(await here.session(), "refund", maximum=1)
        JobCompleter(here, dispatcher, worker)
        await until(lambda: len(worker.taken) == len(jobs), "all are taken")
    assert [j.job_id for j in worker.taken] == [j.job_id for j in expected]


async def test_two_replicas_share_a_backlog_and_take_each_job_once(
    here: Node, there: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see the same first jobs. The one that loses a race samples more candidates, so that most leases
    succeed, and no worker gets more jobs than its capacity.

    A worker completes nothing while it is ahead of the other: a replica that gets no jobs holds up both, and
    one that the machine runs less does not fail the test.
    """
    await put(here, 400)
    lost_races = []
    own = Spread.widen

    def widen(self: Spread, queue: QueueKey) -> None:
        lost_races.append(queue)
        own(self, queue)

    monkeypatch.setattr(Spread, "widen", widen)
    async with dispatching(here) as at_a, dispatching(there) as at_b:
        a = FakeWorker(await here.session(), "refund", maximum=10)
        b = FakeWorker(await there.session(), "refund", maximum=10)
        JobCompleter(here, at_a, a, may_complete=lambda: len(a.taken) <= len(b.taken) + 10)
        JobCompleter(there, at_b, b, may_complete=lambda: len(b.taken) <= len(a.taken) + 10)
        await until(lambda: len(a.taken) + len(b.taken) >= 400, "all are taken")
    ids = [j.job_id for j in (*a.taken, *b.taken)]
    assert len(ids) == len(set(ids)) == 400
    assert min(len(a.taken), len(b.taken)) >= 190, (len(a.taken), len(b.taken))
    assert len(lost_races) < 200, len(lost_races)
    assert (await get_job(here.database, ids[0])).token == 1
