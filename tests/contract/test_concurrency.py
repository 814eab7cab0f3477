"""Concurrency limits: a maximum of running jobs per queue over all replicas; waiting jobs do not count."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.errors import IllegalState
from askback_server.domain.jobs import Job, JobState
from askback_server.engine import concurrency
from askback_server.engine.dispatch import Dispatcher
from askback_server.ports.queue_locks import SETTLE_SECONDS, QueueLock
from askback_server.storage import replica_tables, tables
from askback_server.storage.database import Database
from tests.contract.test_dispatch import put
from tests.support.aggregates import WORKER
from tests.support.fake_worker import FakeWorker, dispatching, finish
from tests.support.rows import new_job, now
from tests.support.storage import Node, execute, fetch, get_job
from tests.support.waiting import until


class ObservedWorkers:
    """Workers that complete each job after a moment; `maximum` limits the jobs that they hold at once."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.maximum = 0
        self.done = 0
        self._work: set[asyncio.Task[None]] = set()

    def add(self, node: Node, dispatcher: Dispatcher, worker: FakeWorker) -> None:
        def run(job: Job) -> None:
            # The job runs in the database for longer than it is counted here, so this never counts too many.
            self.running.add(job.job_id)
            self.maximum = max(self.maximum, len(self.running))
            task = asyncio.create_task(end(job))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

        async def end(job: Job) -> None:
            await node.database.ping()
            self.running.discard(job.job_id)
            await finish(node, dispatcher, worker, job)
            self.done += 1

        worker.got = run
        dispatcher.add(worker)


async def count_running(database: Database, job_type: str) -> int:
    statement = sa.select(sa.func.count().label("n")).where(
        tables.jobs.c.status == "RUNNING", tables.jobs.c.job_type == job_type
    )
    found: int = (await fetch(database, statement))[0]["n"]
    return found


async def test_two_replicas_together_keep_the_limit(here: Node, there: Node) -> None:
    limits = {"refund": 3}
    await put(here, 60)
    watched = ObservedWorkers()
    async with dispatching(here, limits) as at_a, dispatching(there, limits) as at_b:
        a = FakeWorker(await here.session(), "refund", maximum=10)
        b = FakeWorker(await there.session(), "refund", maximum=10)
        watched.add(here, at_a, a)
        watched.add(there, at_b, b)
        await until(lambda: watched.done == 60, "all jobs are done")
    assert 2 <= watched.maximum <= 3
    ids = [j.job_id for j in (*a.taken, *b.taken)]
    assert len(ids) == len(set(ids)) == 60


async def test_a_queue_is_filled_up_to_its_limit(here: Node, there: Node) -> None:
    limits = {"refund": 4}
    await put(here, 20)
    async with dispatching(here, limits) as at_a, dispatching(there, limits) as at_b:
        a = FakeWorker(await here.session(), "refund", maximum=10)
        b = FakeWorker(await there.session(), "refund", maximum=10)
        at_a.add(a)
        at_b.add(b)
        await until(lambda: a.held + b.held == 4, "four jobs run")
        assert await count_running(here.database, "refund") == 4
        # When a job ends, one more is leased, on either replica.
        node, worker, dispatcher = (here, a, at_a) if a.held else (there, b, at_b)
        await finish(node, dispatcher, worker, worker.taken[0])
        await until(lambda: len(a.taken) + len(b.taken) == 5, "a place is filled again")
        assert await count_running(here.database, "refund") == 4
        await until(lambda: a.room() + b.room() == 16, "no room is kept for jobs that may not run")


async def test_a_waiting_job_frees_its_place_and_an_answer_resumes_it_above_the_limit(here: Node) -> None:
    await put(here, 3)
    async with dispatching(here, {"refund": 1}) as dispatcher:
        worker = FakeWorker(await here.session(), "refund", maximum=10)
        dispatcher.add(worker)
        await until(lambda: worker.held == 1, "one job runs")
        prompt = await here.ask(worker.taken[0])
        await until(lambda: worker.held == 2, "another job takes its place while it waits")
        await here.answer(prompt)
        assert (await get_job(here.database, worker.taken[0].job_id)).state is JobState.RUNNING
        await finish(here, dispatcher, worker, worker.taken[1])
        await here.database.ping()
        assert len(worker.taken) == 2
        await finish(here, dispatcher, worker, worker.taken[0])
        await until(lambda: len(worker.taken) == 3, "the third runs after both have ended")


async def test_limits_apply_per_namespace_and_may_be_set_per_namespace(here: Node) -> None:
    limits = {"refund": 2, "b:refund": 1, "c:other": 1}
    for namespace in "abc":
        await put(here, 5, namespace=namespace)
    async with dispatching(here, limits) as dispatcher:
        workers = {
            n: FakeWorker(await here.session(namespace=n), "refund", maximum=9, namespace=n) for n in "abc"
        }
        for worker in workers.values():
            dispatcher.add(worker)
        await until(lambda: sum(h.held for h in workers.values()) == 5, "as many run as the limits allow")
        assert {n: h.held for n, h in workers.items()} == {"a": 2, "b": 1, "c": 2}


async def test_a_limited_queue_shares_a_worker_with_an_unlimited_backlog(here: Node) -> None:
    """A full queue does not block the other one, whose backlog does not take its free place."""
    await put(here, 500, job_type="mail", priority=100)
    await put(here, 10, job_type="refund")
    watched = ObservedWorkers()
    async with dispatching(here, {"refund": 1}) as dispatcher:
        worker = FakeWorker(await here.session(), "mail", "refund", maximum=2)
        watched.add(here, dispatcher, worker)
        await until(lambda: worker.types_taken.count("refund") == 10, "the limited ones are taken")
        mails = worker.types_taken.count("mail")
        assert 10 <= mails < 400, mails


# --- queue_locks ---


async def test_a_queue_lock_excludes_others_until_it_is_released(here: Node, there: Node) -> None:
    lock = await here.database.queue_locks.acquire("default", "refund", 10, 60)
    assert lock is not None
    assert lock.running == 0
    assert timedelta(seconds=50) < lock.until - await here.database.ping() <= timedelta(seconds=60)
    assert await there.database.queue_locks.acquire("default", "refund", 10, 60) is None
    assert await there.database.queue_locks.acquire("default", "mail", 10, 60) is not None
    assert await there.database.queue_locks.acquire("other", "refund", 10, 60) is not None
    await here.database.queue_locks.release(lock)
    second = await there.database.queue_locks.acquire("default", "refund", 10, 60)
    assert second is not None
    await here.database.queue_locks.release(lock)  # a late second release, when another one holds the lock
    assert await here.database.queue_locks.acquire("default", "refund", 10, 60) is None


async def test_one_of_many_concurrent_attempts_gets_the_queue_lock(here: Node, there: Node) -> None:
    tries = [n.database.queue_locks.acquire("default", "refund", 10, 60) for n in (here, there) * 10]
    assert sum(lock is not None for lock in await asyncio.gather(*tries)) == 1


async def test_an_abandoned_queue_lock_is_free_after_its_last_lease_must_have_settled(here: Node) -> None:
    assert await here.database.queue_locks.acquire("default", "refund", 10, 60) is not None
    table = replica_tables.queue_locks
    for ended, free in ((SETTLE_SECONDS - 10, False), (SETTLE_SECONDS + 10, True)):
        past = await here.database.ping() - timedelta(seconds=ended)
        await execute(here.database, sa.update(table).values(until=past))
        taken = await here.database.queue_locks.acquire("default", "refund", 10, 60)
        assert (taken is not None) is free


async def test_a_queue_lock_counts_running_jobs_only(here: Node) -> None:
    running = [await here.lease_new_job() for _ in range(3)]
    await here.waiting()
    await here.create()
    await here.lease_new_job(job_type="mail")
    await here.complete(await here.lease_new_job())
    lock = await here.database.queue_locks.acquire("default", "refund", 10, 60)
    assert lock is not None
    assert lock.running == len(running)
    await here.database.queue_locks.release(lock)
    bounded = await here.database.queue_locks.acquire("default", "refund", 2, 60)
    assert bounded is not None
    assert bounded.running == 2


async def test_a_lease_after_the_end_of_its_queue_lock_is_refused(here: Node) -> None:
    """The database's clock decides, even if the replica's clock is behind."""
    await put(here, 1)
    [[job_id]] = (await here.database.queue.claimable({("default", "refund"): 1})).values()
    session = await here.session()
    late = await here.database.ping() - timedelta(seconds=1)
    here.clock.observe(late - timedelta(seconds=30))
    command = c.LeaseJob(principal=WORKER, job_id=job_id, session=session, worker_id="w", not_after=late)
    with pytest.raises(IllegalState, match="turn"):
        await here.do(command)
    assert (await get_job(here.database, job_id)).state is JobState.PENDING


async def test_a_place_freed_during_the_count_reopens_the_queue(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = concurrency.Concurrency({"refund": 1}, here.database.queue_locks, here.clock)
    queue = ("default", "refund")
    job = await here.lease_new_job()
    assert new_job(job_id=job.job_id, state=JobState.COMPLETED, token=1, completed_at=now()).is_freed
    take = here.database.queue_locks.acquire

    async def acquire_then_free_a_place(*args: Any) -> QueueLock | None:
        lock = await take(*args)
        limits.note_freed(queue)
        return lock

    with monkeypatch.context() as patch:
        patch.setattr(here.database.queue_locks, "acquire", acquire_then_free_a_place)
        async with limits.lock_queue(queue, 1) as places:
            assert places is None
    assert limits.is_open(queue)
    async with limits.lock_queue(queue, 1) as places:
        assert places is None
    assert not limits.is_open(queue)
    assert limits.note_freed(queue)
    assert limits.is_open(queue)
