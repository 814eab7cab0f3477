"""Clean-up: retention by namespace and state, and what the sweep deletes of jobs and of the log."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.jobs import JobState
from askback_server.domain.limits import Limits
from askback_server.storage import tables
from tests.contract.test_seed_features import sweep_of
from tests.contract.test_work_queue import day_of_events, jobs_with_events
from tests.support.aggregates import CLIENT, JobWorld, running
from tests.support.rows import creation, event, new_job, now
from tests.support.storage import Node, execute, get_job

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


async def test_unfinished_jobs_and_their_logs_are_never_purged(here: Node) -> None:
    """Only ended jobs have a retention, whatever the age of others."""
    old = now() - timedelta(days=400)
    unfinished = new_job(state=JobState.RUNNING, ready_at=None, created_at=old, updated_at=old)
    write = creation(unfinished)
    write.events = [event(unfinished)]
    await here.database.jobs.write([write])
    ended = new_job(state=JobState.COMPLETED, ready_at=None, purge_at=old)
    await here.database.jobs.write([creation(ended)])
    await sweep_of(here).sweep()
    assert (await get_job(here.database, unfinished.job_id)).state is JobState.RUNNING
    assert len(await here.database.jobs.list_events(unfinished.job_id, 0, 10)) == 1
    assert await here.database.jobs.get_jobs([ended.job_id]) == []


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
        assert await here.database.queue.drop_events(keep, 100) == 0
        assert await jobs_with_events(here.database) == before
        await here.create()
        await reader.rollback()
    assert await here.database.queue.drop_events(keep, 100) == 1
    await execute(here.database, "SELECT 1")


async def test_the_sweep_drops_the_log_in_steps(
    here: Node, database_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is not needed: on SQLite a few rows at a time, on PostgreSQL a day at a time."""
    dropped = []
    own = here.database.queue.drop_events

    async def drop(keep: datetime, limit: int) -> int:
        dropped.append(await own(keep, min(limit, 2)))
        return dropped[-1]

    for days in (10, 9):
        await day_of_events(here.database, database_kind, days)
    kept = await day_of_events(here.database, database_kind, 2)
    monkeypatch.setattr(here.database.queue, "drop_events", drop)
    await sweep_of(here).sweep()
    assert dropped == ([1, 1, 0] if database_kind == "postgres" else [2, 2, 2, 0])
    assert await jobs_with_events(here.database) == set(kept)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_an_old_event_behind_one_that_is_needed_is_kept(here: Node, database_kind: str) -> None:
    """Times of the log may go back a little. What is dropped is a part from its beginning."""
    for days in (9, 2, 8):
        await day_of_events(here.database, database_kind, days, 1)
    keep = now() - timedelta(days=5)
    assert await here.database.queue.drop_events(keep, 100) == 1
    assert await here.database.queue.drop_events(keep, 100) == 0
    assert len(await jobs_with_events(here.database)) == 2


async def test_checkpoints_that_fail_stop_no_clean_up_but_keep_the_log(
    here: Node, database_kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    past = now() - DAY
    job = new_job(state=JobState.COMPLETED, completed_at=past, purge_at=past)
    [old] = await day_of_events(here.database, database_kind, 20, count=1)
    await here.database.jobs.write([creation(job)])
    sweep = sweep_of(here)

    async def fail() -> None:
        raise ValueError("no key")

    with monkeypatch.context() as patched:
        patched.setattr(sweep._checkpoints, "update", fail)
        await sweep.sweep()
    assert await here.database.jobs.get_jobs([job.job_id]) == []
    assert "no checkpoint was made" in caplog.text
    assert len(await here.database.jobs.list_events(old, 0, 10)) == 1
    await sweep.sweep()
    assert await here.database.jobs.list_events(old, 0, 10) == []
