"""A job that becomes claimable goes straight to a worker, by the write that makes it claimable, if no other
job's turn comes first. No poll helps in these tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.errors import AskbackError, InvalidArgument, LeaseLost
from askback_server.domain.jobs import Job, JobState
from askback_server.engine import queue_search
from askback_server.engine.concurrency import QueueKey
from askback_server.engine.dispatch import Dispatcher
from askback_server.feed.announcing import announce
from askback_server.storage import tables
from tests.contract.test_dispatch import put
from tests.support.aggregates import CLIENT, WORKER
from tests.support.fake_worker import FakeWorker, dispatching
from tests.support.rows import new_job
from tests.support.storage import (
    GatedStore,
    Node,
    check_job,
    execute,
    expire_session,
    get_job,
    lose_outcome,
    node,
)
from tests.support.waiting import until

CREATE = c.CreateJob(principal=CLIENT, namespace="", job_type="refund")


@pytest.fixture(autouse=True)
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_search, "POLL_SECONDS", 3_600.0)


class GatedQueue:
    """The queue of a node. While the gate is closed, a scan that has read waits before it goes on."""

    def __init__(self, node: Node) -> None:
        self._queue = node.database.queue
        self.scans = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def claimable(self, limits: Mapping[QueueKey, int]) -> dict[QueueKey, list[str]]:
        found = await self._queue.claimable(limits)
        self.scans += 1
        await self.gate.wait()
        return found


async def idle_worker(
    node: Node, dispatcher: Dispatcher, queue: GatedQueue, *job_types: str, maximum: int = 1
) -> FakeWorker:
    """A worker whose queues have been read."""
    worker = FakeWorker(await node.session(), *(job_types or ("refund",)), maximum=maximum)
    before = queue.scans
    dispatcher.add(worker)
    await until(lambda: queue.scans > before, "its queues are read")
    return worker


async def is_waiting(node: Node, job: Job) -> bool:
    return (await get_job(node.database, job.job_id)).state is JobState.PENDING


async def test_one_write_creates_and_leases_a_job(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=GatedStore) as here:
        queue = GatedQueue(here)
        async with dispatching(here, queue=queue) as dispatcher:
            worker = await idle_worker(here, dispatcher, queue)
            job = await here.create()
            await until(lambda: worker.taken, "the job is leased")
            worker.held = 0
            dispatcher.wake("default")
            await here.create()
            await until(lambda: len(worker.taken) == 2, "the next one is leased too")
        aggregate, events = await check_job(here.database, job.job_id)
        assert here.store.batches == [1, 1]
        await here.complete(worker.taken[0])
        assert here.store.batches == [1, 1, 1], "a job without people is two writes"
    assert queue.scans == 1
    assert [e.type for e in events] == ["JOB_CREATED", "JOB_LEASED"]
    assert [e.state for e in events] == [JobState.PENDING, JobState.RUNNING]
    assert worker.taken[0] == aggregate.job
    assert (job.state, worker.taken[0].token) == (JobState.PENDING, 1)


async def test_an_answer_gives_a_parked_job_to_a_worker_by_its_own_write(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=GatedStore) as here:
        queue = GatedQueue(here)
        job, prompt = await here.waiting()
        await here.do(c.ReleaseJob(principal=WORKER, job_id=job.job_id, token=job.token))
        async with dispatching(here, queue=queue) as dispatcher:
            worker = await idle_worker(here, dispatcher, queue)
            before = len(here.store.batches)
            await here.answer(prompt)
            await until(lambda: worker.taken, "the job is leased")
        await check_job(here.database, job.job_id)
    assert len(here.store.batches) == before + 1
    assert queue.scans == 1
    assert worker.taken[0].token == job.token + 1


async def test_a_released_job_goes_to_another_worker_without_a_scan(here: Node) -> None:
    """The write has the guard of the session that releases it, so the lease comes with the next one."""
    queue = GatedQueue(here)
    jobs = [await here.lease_new_job() for _ in range(3)]
    release = [c.ReleaseJob(principal=WORKER, job_id=job.job_id, token=job.token) for job in jobs]
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue, maximum=2)
        await here.do(release[0])
        await until(lambda: worker.taken, "the job is leased")
        assert queue.scans == 1
        assert jobs[1].session_id
        await expire_session(here.database, jobs[1].session_id)
        with pytest.raises(LeaseLost):
            await here.do(release[1])
        await expire_session(here.database, worker.session.session_id)
        await here.do(release[2])
        await until(lambda: worker.room() == 1, "the lease is refused")
        assert await is_waiting(here, jobs[2])


# --- turns ---


async def test_a_new_job_waits_behind_an_older_one_that_is_being_found(here: Node) -> None:
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue)
        await put(here, 1)
        queue.gate.clear()
        dispatcher._request_scan(("default", "refund"))
        newer = await here.create()
        await until(lambda: queue.scans == 2, "the older one is found")
        assert not worker.taken
        newest = await here.create(priority=-1)
        queue.gate.set()
        await until(lambda: worker.taken, "a job is leased")
        assert worker.taken[0].job_id not in (newer.job_id, newest.job_id)
        assert await is_waiting(here, newer)


async def test_a_new_job_waits_behind_an_older_one_for_room(here: Node) -> None:
    """The worker was full. Its room is free before the scan for the older job has begun."""
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue)
        await here.create()
        await until(lambda: worker.held == 1, "it is full")
        older = await here.create()
        await until(lambda: not dispatcher._wake.is_set(), "the dispatcher has taken note")
        worker.held = 0
        newer = here.engine.submit(CREATE)
        dispatcher.wake("default")
        await until(lambda: len(worker.taken) == 2, "a job is leased")
        assert worker.taken[1].job_id == older.job_id
        assert await is_waiting(here, (await newer).job)


async def test_a_new_job_waits_until_the_queues_of_a_new_worker_are_read(here: Node) -> None:
    older = await here.create()
    async with dispatching(here) as dispatcher:
        worker = FakeWorker(await here.session(), "refund", maximum=1)
        newer = here.engine.submit(CREATE)  # its write is decided before the dispatcher runs
        dispatcher.add(worker)
        await until(lambda: worker.taken, "a job is leased")
        assert worker.taken[0].job_id == older.job_id
        assert await is_waiting(here, (await newer).job)


async def test_a_new_job_waits_behind_an_announced_one(here: Node, there: Node) -> None:
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue)
        # By a clock that is behind: by one that is ahead the job would be announced as a delayed one.
        there.clock.observe(await there.database.ping() - timedelta(seconds=1))
        older = await there.create()
        dispatcher.on_announced([announce(committed) for committed in there.received])
        newer = await here.create()
        await until(lambda: worker.taken, "a job is leased")
        assert worker.taken[0].job_id == older.job_id
        assert await is_waiting(here, newer)


async def test_a_job_does_not_take_the_turn_of_another_queue(here: Node) -> None:
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue, "refund", "mail")
        await here.create()
        await until(lambda: worker.held == 1, "it is full")
        mail = await here.create(job_type="mail")
        await until(lambda: not dispatcher._wake.is_set(), "the dispatcher has taken note")
        worker.held = 0
        here.engine.submit(CREATE)
        dispatcher.wake("default")
        await until(lambda: len(worker.taken) == 2, "a job is leased")
        assert worker.taken[1].job_id == mail.job_id


async def test_jobs_of_a_scan_s_time_are_leased_in_order_when_it_ends(here: Node) -> None:
    """The scan has read before they were created. No further scan is needed to find them."""
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue, maximum=2)
        queue.gate.clear()
        dispatcher._request_scan(("default", "refund"))
        await until(lambda: queue.scans == 2, "the queue is read")
        low, high = [await here.create(priority=p) for p in (0, 5)]
        assert not worker.taken
        queue.gate.set()
        await until(lambda: len(worker.taken) == 2, "both are leased")
        assert [j.job_id for j in worker.taken] == [high.job_id, low.job_id]
        assert queue.scans == 2


async def test_of_more_jobs_than_room_the_rest_waits_for_a_scan(here: Node) -> None:
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue, maximum=3)
        jobs = await asyncio.gather(*(here.create() for _ in range(5)))
        await until(lambda: len(worker.taken) == 3, "it is full")
        assert sum([await is_waiting(here, job) for job in jobs]) == 2
        worker.held = 1
        dispatcher.wake("default")
        await until(lambda: len(worker.taken) == 5, "the others are leased")
    assert {j.job_id for j in worker.taken} == {j.job_id for j in jobs}


async def test_a_limited_queue_leases_under_its_lock_only(here: Node) -> None:
    queue = GatedQueue(here)
    async with dispatching(here, {"refund": 1}, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue, maximum=5)
        jobs = await asyncio.gather(*(here.create() for _ in range(3)))
        await until(lambda: worker.taken, "one is leased")
        await until(lambda: worker.room() == 4, "the others were refused")
        assert sum([await is_waiting(here, job) for job in jobs]) == 2


async def test_a_delayed_job_is_not_leased_at_once(here: Node) -> None:
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue)
        job = await here.create(start_delay=timedelta(hours=1))
        assert await is_waiting(here, job)
        assert worker.room() == 1


async def test_a_paused_dispatcher_leases_nothing(here: Node) -> None:
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue)
        dispatcher.pause()
        assert await is_waiting(here, await here.create())
        assert worker.room() == 1


async def test_the_worker_with_the_most_room_is_chosen_if_it_is_still_there(here: Node) -> None:
    """The room of workers is counted once for the jobs of a batch."""
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        large, small = [await idle_worker(here, dispatcher, queue, maximum=n) for n in (9, 2)]
        choose, job = dispatcher._direct.choose, new_job()
        assert [choose(job) for _ in range(7)] == [large] * 7
        large.maximum = 0
        assert choose(job) is not large
        large.maximum = 9
        dispatcher.remove(large)
        assert large not in [choose(job) for _ in range(4)]
        dispatcher._direct.note_room("default")
        assert [choose(job) for _ in range(3)] == [small, small, None]
        dispatcher._direct.note_room("default")
        dispatcher._leases.begin(job.job_id, ("default", "refund"))
        assert choose(job) is None


# --- guards, and writes that fail ---


async def test_a_clock_ahead_of_the_database_does_not_delay_a_lease(migrated_db_url: str) -> None:
    """A job that is ready at once waits for no time of the database."""
    async with node(migrated_db_url, wrap=GatedStore) as here:
        queue = GatedQueue(here)
        async with dispatching(here, queue=queue) as dispatcher:
            worker = await idle_worker(here, dispatcher, queue)
            here.clock.observe(await here.database.ping() + timedelta(minutes=1))
            await here.create()
            await until(lambda: worker.taken, "the job is leased")
        assert (here.store.batches, queue.scans) == ([1], 1)


@pytest.mark.parametrize("how", ["expired", "moved"])
async def test_a_worker_without_its_session_gets_nothing(here: Node, how: str) -> None:
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        frozen = await idle_worker(here, dispatcher, queue, maximum=9)
        other = await idle_worker(here, dispatcher, queue)
        if how == "expired":
            await expire_session(here.database, frozen.session.session_id)
        else:
            table = tables.sessions
            moved = sa.update(table).where(table.c.session_id == frozen.session.session_id)
            await execute(here.database, moved.values(epoch=table.c.epoch + 1))
        job = await here.create()
        await until(lambda: other.taken, "the other worker has the job")
        assert other.taken[0].job_id == job.job_id
        assert not frozen.taken
        assert frozen.room() == 9
    _, events = await check_job(here.database, job.job_id)
    assert [e.type for e in events] == ["JOB_CREATED", "JOB_LEASED"]


@pytest.mark.parametrize("committed", [True, False])
async def test_a_job_with_an_unknown_outcome_is_held_once_or_not_at_all(
    here: Node, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If its creation was committed, so was its lease, and the worker gets it."""
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue)
        lose_outcome(here.database, monkeypatch, committed=committed)
        with pytest.raises(AskbackError):
            await here.create()
        if committed:
            await until(lambda: worker.taken, "the worker has the job")
            await check_job(here.database, worker.taken[0].job_id)
        else:
            await until(lambda: worker.room() == 1, "the place is free again")
            await here.create()
            await until(lambda: worker.taken, "the next job is leased")
        assert [job.token for job in worker.taken] == [1]


async def test_a_place_is_free_again_after_a_write_that_the_database_refuses(here: Node) -> None:
    """The bad command comes with a good one; both were to be leased."""
    queue = GatedQueue(here)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = await idle_worker(here, dispatcher, queue, maximum=3)
        bad = replace(CLIENT, subject="\ud800")
        made = await asyncio.gather(here.create(principal=bad), here.create(), return_exceptions=True)
        assert isinstance(made[0], InvalidArgument)
        assert isinstance(made[1], Job)
        await until(lambda: worker.taken, "the good job is leased")
        assert [job.job_id for job in worker.taken] == [made[1].job_id]
        await until(lambda: worker.room() == 2, "the other places are free again")


async def test_two_replicas_lease_each_job_once(here: Node, there: Node) -> None:
    """Also those that both are asked to create, by one request id."""
    queues = GatedQueue(here), GatedQueue(there)
    async with dispatching(here, queue=queues[0]) as at_a, dispatching(there, queue=queues[1]) as at_b:
        a = await idle_worker(here, at_a, queues[0], maximum=100)
        b = await idle_worker(there, at_b, queues[1], maximum=100)
        made = await asyncio.gather(
            *(node.create(request_id=f"r{n}") for n in range(20) for node in (here, there)),
            *(node.create() for _ in range(10) for node in (here, there)),
        )
        jobs = {job.job_id for job in made}
        await until(lambda: len(a.taken) + len(b.taken) >= len(jobs), "all are leased")
        await until(lambda: a.room() + b.room() == 200 - len(jobs), "no place is reserved")
    taken = [job.job_id for job in (*a.taken, *b.taken)]
    assert len(jobs) == 40
    assert sorted(taken) == sorted(jobs)
    for job_id in jobs:
        assert (await check_job(here.database, job_id))[1][-1].type == "JOB_LEASED"
