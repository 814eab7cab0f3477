"""Which jobs are deleted after their retention: once, whatever replicas and the storage do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.deletion_rules import DeletionUnfinished
from askback_server.domain.errors import AskbackError, Contention, QueueFull, StorageUnavailable
from askback_server.domain.events import EventType
from askback_server.domain.jobs import Job, JobState
from askback_server.engine import purge as module
from askback_server.engine.pace import LARGE_STEP
from tests.support.aggregates import CLIENT
from tests.support.purging import count_rows, deletions, due_jobs, large_job, purge_of
from tests.support.storage import DelegatingStore, Node, node


async def test_expired_jobs_go_with_all_their_rows_and_others_stay(here: Node) -> None:
    past = await here.database.ping() - timedelta(days=1)
    kept = [
        *await due_jobs(here, 3, purge_at=None),
        *await due_jobs(here, 3, purge_at=past + timedelta(days=30)),
        *await due_jobs(here, 3, state=JobState.RUNNING, completed_at=None, purge_at=None),
    ]
    before = await count_rows(here)
    gone = await due_jobs(here, 40)
    assert await purge_of(here).run() == 40
    assert await count_rows(here) == before
    assert {job.job_id for job in await here.database.jobs.get_jobs(j.job_id for j in (*kept, *gone))} == {
        job.job_id for job in kept
    }
    assert sorted(await deletions(here)) == sorted(job.job_id for job in gone)
    assert here.hot.peek(gone[0].job_id) is None
    assert len(here.hot) == 0, "what is deleted does not displace jobs in memory"


async def test_a_batch_is_read_and_written_as_one(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=DelegatingStore) as here:
        await due_jobs(here, 200, rounds=1)
        here.store.batches.clear()
        assert await purge_of(here).run() == 200
        assert here.store.batches == [LARGE_STEP // 3] * 3 + [200 - LARGE_STEP // 3 * 3]


async def test_followers_see_each_deletion_once(here: Node, there: Node) -> None:
    jobs = await due_jobs(here, 5)
    for replica in (here, there):
        await replica.catch_up()
        replica.received.clear()
    await purge_of(here).run()
    await there.catch_up()
    await here.catch_up()
    for replica in (here, there):
        seen = [item.job.job_id for item in replica.received if item.deleted]
        assert sorted(seen) == sorted(job.job_id for job in jobs)
    events = await here.database.jobs.list_events(jobs[0].job_id, 0, 10)
    assert [(e.seq, e.type, e.actor) for e in events][-1] == (2, EventType.JOB_DELETED, "system")


async def test_jobs_with_one_end_of_retention_are_listed_to_the_last(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIST_SIZE", 4)
    at = await here.database.ping() - timedelta(hours=1)
    await due_jobs(here, 13, purge_at=at)
    await due_jobs(here, 5, purge_at=at + timedelta(minutes=1))
    asked: list[Any] = []

    class Watched:
        """A queue that remembers from where on it was asked."""

        async def list_expired(self, limit: int, since: Any) -> list[Job]:
            asked.append(since)
            return await here.database.queue.list_expired(limit, since)

    watched: Any = Watched()
    assert await purge_of(here, watched).run() == 18
    # From where the list before ended: what was deleted since is not passed again.
    assert asked[0] is None
    assert asked[1:] == sorted(asked[1:])
    assert asked[-1] == at + timedelta(minutes=1)


async def test_only_one_replica_purges_at_a_time(here: Node, there: Node) -> None:
    await due_jobs(here, 5)
    lock = await there.database.queue_locks.acquire(*module.QUEUE, 1, 60)
    assert lock is not None
    assert await purge_of(here).run() == 0
    assert (await count_rows(here))[0] == 5
    await there.database.queue_locks.release(lock)
    assert await purge_of(here).run() == 5
    # The lock has been released.
    assert await there.database.queue_locks.acquire(*module.QUEUE, 1, 60) is not None


async def test_a_long_purge_renews_its_lock(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of jobs, a replica does not hold the lock longer than its duration."""
    await due_jobs(here, 200, rounds=1)
    monkeypatch.setattr(module, "LOCK_SECONDS", 1e-9)
    taken = []
    take = here.database.queue_locks.acquire

    async def acquire_and_count(*args: Any) -> Any:
        taken.append(args)
        return await take(args[0], args[1], args[2], 60.0)

    monkeypatch.setattr(here.database.queue_locks, "acquire", acquire_and_count)
    assert await purge_of(here).run() == 200
    assert len(taken) == 4


async def test_two_replicas_that_purge_the_same_jobs_delete_each_once(here: Node, there: Node) -> None:
    """As after a lock that has run out: the second deletion finds no job, and writes nothing."""
    jobs = [*await due_jobs(here, 30), (await large_job(here))[0]]

    async def purge(replica: Node, order: Sequence[Job]) -> None:
        for job in order:
            while True:
                try:
                    await replica.do(c.PurgeJob(job_id=job.job_id))
                    break
                except (DeletionUnfinished, Contention):
                    pass

    await asyncio.gather(purge(here, jobs), purge(there, jobs), purge(there, jobs[::-1]))
    assert sorted(await deletions(here)) == sorted(job.job_id for job in jobs)
    assert await count_rows(here) == [0] * 5


async def test_a_job_that_is_deleted_after_it_was_listed_costs_nothing(here: Node, there: Node) -> None:
    jobs = await due_jobs(here, 4)

    class Late:
        """A queue whose list is old when it arrives."""

        async def list_expired(self, *args: Any) -> Any:
            listed = await here.database.queue.list_expired(*args)
            await there.do(c.DeleteJob(principal=CLIENT, job_id=jobs[0].job_id))
            return listed

    late: Any = Late()
    assert await purge_of(here, late).run() == 4
    assert sorted(await deletions(here)) == sorted(job.job_id for job in jobs)


@pytest.mark.parametrize("error", [QueueFull("full"), StorageUnavailable("away")])
async def test_a_run_ends_if_nothing_can_be_deleted(
    here: Node, error: AskbackError, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next run begins again. One line tells of it, not one for each job."""
    await due_jobs(here, 300, rounds=1)
    tries = 0

    async def refuse(command: c.Command[object]) -> None:
        nonlocal tries
        tries += 1
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(here.engine, "execute", refuse)
        assert await purge_of(here).run() == 0
    assert tries == LARGE_STEP // 3
    assert [r.message for r in caplog.records] == [f"{tries} jobs were not purged: {error}"]
    assert await purge_of(here).run() == 300


async def test_a_job_that_cannot_be_deleted_holds_no_other_up(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = await here.database.ping() - timedelta(hours=1)
    jobs = await due_jobs(here, 9, purge_at=at)
    own = here.engine.execute

    async def refuse_one(command: Any) -> Any:
        if command.job_id == jobs[0].job_id:
            raise Contention("others changed it")
        return await own(command)

    monkeypatch.setattr(module, "LIST_SIZE", 3)
    monkeypatch.setattr(here.engine, "execute", refuse_one)
    assert await purge_of(here).run() == 8
    assert [j.job_id for j in await here.database.jobs.get_jobs(j.job_id for j in jobs)] == [jobs[0].job_id]
