"""Clean-up: retention by namespace and state, in batches with pauses, by one replica at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.jobs import JobState
from askback_server.domain.limits import Limits
from askback_server.engine import sweep
from askback_server.storage import tables
from tests.contract.test_seed_features import sweep_of
from tests.contract.test_work_queue import day_of_events, jobs_with_events
from tests.support.aggregates import CLIENT, JobWorld, running
from tests.support.rows import creation, event, new_job, now
from tests.support.storage import Node, execute, fetch, get_job

DAY = timedelta(days=1)
KEPT = {"default": 9 * DAY, "FAILED": 8 * DAY, "default:default": 7 * DAY, "default:CANCELLED": 6 * DAY}


@pytest.mark.parametrize(
    ("namespace", "state", "kept"),
    [
        ("default", "CANCELLED", 6 * DAY),
        ("default", "FAILED", 7 * DAY),
        ("default", "COMPLETED", 7 * DAY),
        ("other", "FAILED", 8 * DAY),
        ("other", "CANCELLED", 9 * DAY),
    ],
)
def test_the_most_specific_retention_setting_applies(namespace: str, state: str, kept: timedelta) -> None:
    assert Limits(retention=KEPT).retention_of(namespace, state) == kept
    assert Limits().retention_of(namespace, state) == Limits().retention_default


def retention_of(world: JobWorld) -> timedelta | None:
    job = world.job
    assert job.completed_at is not None
    return job.purge_at - job.completed_at if job.purge_at else None


def test_retention_depends_on_the_final_state_unless_the_job_sets_its_own() -> None:
    by_state = Limits(retention={"COMPLETED": DAY, "FAILED": 2 * DAY, "CANCELLED": 3 * DAY})
    worlds = [running(), running(), running(), running(retention=5 * DAY)]
    for world in worlds:
        world.limits = by_state
    worlds[0].complete()
    worlds[1].fail(retryable=False)
    worlds[2].cancel()
    worlds[2].fail()  # the holder confirms
    worlds[3].complete()
    assert [retention_of(world) for world in worlds] == [DAY, 2 * DAY, 3 * DAY, 5 * DAY]
    # Set after the end, and unset again.
    worlds[1].on_job(c.UpdateJob, values={"retention": 4 * DAY})
    assert retention_of(worlds[1]) == 4 * DAY
    worlds[1].on_job(c.UpdateJob, values={"retention": None})
    assert retention_of(worlds[1]) == 2 * DAY


async def create_due_jobs(node: Node, count: int) -> list[str]:
    """Create jobs whose retention is over, with their logs."""
    past = await node.database.ping() - DAY
    jobs = [new_job(state=JobState.COMPLETED, ready_at=None, purge_at=past) for _ in range(count)]
    await node.database.jobs.write([creation(job) for job in jobs])
    return [job.job_id for job in jobs]


async def count_jobs(node: Node) -> int:
    count: int = (await fetch(node.database, sa.select(sa.func.count().label("n")).select_from(tables.jobs)))[
        0
    ]["n"]
    return count


async def test_purging_works_in_batches_with_a_pause_after_each(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause is longer than the work, so that other writers get most of the time."""
    await create_due_jobs(here, 23)
    rests: list[tuple[float, int]] = []
    ticks = iter(range(1_000_000))

    async def rest(seconds: float) -> None:
        rests.append((seconds, await count_jobs(here)))

    monkeypatch.setattr(sweep, "PURGE_BATCH_SIZE", 10)
    monkeypatch.setattr(sweep, "LOCK_SECONDS", 1e9)
    monkeypatch.setattr(sweep, "monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr(sweep, "asyncio", SimpleNamespace(gather=asyncio.gather, sleep=rest))
    assert await sweep_of(here)._purge() == 23
    assert rests == [(sweep.REST_RATIO, 13), (sweep.REST_RATIO, 3)]
    assert await count_jobs(here) == 0
    assert sweep.REST_RATIO >= 1


async def test_only_one_replica_purges_at_a_time(here: Node, there: Node) -> None:
    await create_due_jobs(here, 5)
    lock = await there.database.queue_locks.acquire(*sweep.QUEUE, 1, 60)
    assert lock is not None
    assert await sweep_of(here)._purge() == 0
    assert await count_jobs(here) == 5
    await there.database.queue_locks.release(lock)
    assert await sweep_of(here)._purge() == 5
    # The lock has been released.
    assert await there.database.queue_locks.acquire(*sweep.QUEUE, 1, 60) is not None


async def test_a_long_purge_renews_its_lock(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of jobs, a replica does not hold the lock longer than its duration."""
    await create_due_jobs(here, 30)
    monkeypatch.setattr(sweep, "PURGE_BATCH_SIZE", 10)
    monkeypatch.setattr(sweep, "REST_RATIO", 0.0)
    monkeypatch.setattr(sweep, "LOCK_SECONDS", 1e-9)
    cleaner = sweep_of(here)
    taken = []
    take = here.database.queue_locks.acquire

    async def acquire_and_count(*args: Any) -> Any:
        taken.append(args)
        return await take(args[0], args[1], args[2], 60.0)

    monkeypatch.setattr(here.database.queue_locks, "acquire", acquire_and_count)
    assert await cleaner._purge() == 30
    assert len(taken) == 4


async def test_unfinished_jobs_and_their_logs_are_never_purged(here: Node) -> None:
    """Only ended jobs have a retention, whatever the age of others."""
    old = now() - timedelta(days=400)
    unfinished = new_job(state=JobState.RUNNING, ready_at=None, created_at=old, updated_at=old)
    write = creation(unfinished)
    write.events = [event(unfinished)]
    await here.database.jobs.write([write])
    await create_due_jobs(here, 3)
    await sweep_of(here).sweep()
    assert (await get_job(here.database, unfinished.job_id)).state is JobState.RUNNING
    assert len(await here.database.jobs.list_events(unfinished.job_id, 0, 10)) == 1
    assert await count_jobs(here) == 1


async def test_an_ended_job_with_a_new_retention_is_purged_after_it(here: Node) -> None:
    job = await here.complete(await here.lease_new_job())
    await here.do(
        c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"retention": timedelta(microseconds=1)})
    )
    await sweep_of(here).sweep()
    assert await here.database.jobs.get_jobs([job.job_id]) == []


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_dropping_old_events_waits_for_a_long_reader_without_blocking_writers(
    here: Node, database_kind: str
) -> None:
    """Dropping a partition locks the whole log; waiting for that lock behind a reader would block writers."""
    await day_of_events(here.database, database_kind, 9)
    before = await jobs_with_events(here.database)
    keep = now() - timedelta(days=5)
    async with here.database._dialect.reads.connect() as reader:
        await reader.execution_options(isolation_level="REPEATABLE READ")
        await reader.execute(sa.select(tables.events.c.id).limit(1))
        assert await here.database.queue.drop_events(keep) == 0
        assert await jobs_with_events(here.database) == before
        await here.create()
        await reader.rollback()
    assert await here.database.queue.drop_events(keep) == 1
    await execute(here.database, "SELECT 1")
