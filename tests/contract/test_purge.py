"""Deleting jobs after their retention: in sets, in small steps, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.aggregate import Guard
from askback_server.domain.content import PromptContent
from askback_server.domain.deletion_rules import DeletionUnfinished
from askback_server.domain.errors import (
    AskbackError,
    Contention,
    JobNotFound,
    PromptNotFound,
    QueueFull,
    StorageUnavailable,
)
from askback_server.domain.events import EventType
from askback_server.domain.jobs import Checkpoint, Job, JobState
from askback_server.domain.prompts import Prompt
from askback_server.domain.retries import Keep
from askback_server.domain.retry_rules import plan_retry, repeat_job
from askback_server.engine import purge as module
from askback_server.engine.pace import LARGE_STEP, Pace
from askback_server.engine.purge import Purge
from askback_server.engine.retrying import prepare_retry
from askback_server.metrics.meter import Meter
from askback_server.ports.storage import JobWrite, Lost, WorkQueue
from askback_server.storage import tables
from askback_server.storage.removal import STEP_BYTES, STEP_ROWS
from tests.support.aggregates import CLIENT, question
from tests.support.rows import as_answered, creation, new_job, new_prompt, now, submission, with_children
from tests.support.storage import DelegatingStore, Node, counts, execute, fetch, get_job, node

MANY = 2 * STEP_ROWS + 50
"""Rows of a job that three steps delete."""


def purge_of(replica: Node, queue: WorkQueue | None = None) -> Purge:
    database = replica.database
    pace = Pace(lambda: replica.engine.idle)
    return Purge(replica.engine, queue or database.queue, database.queue_locks, pace)


async def due_jobs(replica: Node, count: int, **fields: Any) -> list[Job]:
    """Create jobs whose retention is over, each with a row in every table."""
    past = await replica.database.ping() - timedelta(days=1)
    fields = {"state": JobState.COMPLETED, "ready_at": None, "completed_at": past, "purge_at": past, **fields}
    jobs = [new_job(**fields) for _ in range(count)]
    await replica.database.jobs.write([with_children(creation(job)) for job in jobs])
    return jobs


async def large_job(
    replica: Node, prompts: int = MANY, content: PromptContent | None = None
) -> tuple[Job, list[Prompt]]:
    """Create a job whose retention is over, with many prompts, each with an answer, and checkpoints."""
    past = await replica.database.ping() - timedelta(days=1)
    job = new_job(
        state=JobState.FAILED,
        ready_at=None,
        completed_at=past,
        purge_at=past,
        rounds=prompts,
        checkpoints=prompts,
    )
    asked = [new_prompt(job, content, key=f"k{n}", round=n + 1, submissions=1) for n in range(prompts)]
    closed = [as_answered(prompt, "ann", 0) for prompt in asked]
    write = creation(job, *closed)
    write.submissions = [submission(prompt) for prompt in closed]
    write.checkpoints = {p.key: Checkpoint(job.job_id, p.key, "1", now()) for p in closed}
    await replica.database.jobs.write([write])
    return job, closed


async def deletions(replica: Node) -> list[str]:
    """The ids of the jobs whose deletion is in the log."""
    events = sa.select(tables.events.c.job_id).where(tables.events.c.type == EventType.JOB_DELETED.value)
    return [row["job_id"] for row in await fetch(replica.database, events)]


async def count_rows(replica: Node) -> list[int]:
    """The rows of jobs in all tables but the log."""
    found = []
    for table in (tables.jobs, tables.prompts, tables.answers, tables.checkpoints, tables.understandings):
        count = sa.select(sa.func.count().label("n")).select_from(table)
        found.append((await fetch(replica.database, count))[0]["n"])
    return found


class WatchedStore(DelegatingStore):
    """A store that counts the rows of a job in the database after each write."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.node: Node | None = None
        self.left: list[list[int]] = []
        self.after: Any = None
        """Called after each write."""

    async def write(self, batch: Sequence[JobWrite]) -> Any:
        written = await super().write(batch)
        if self.node is not None:
            self.left.append(await count_rows(self.node))
        if self.after is not None:
            await self.after()
        return written


# --- what is deleted ---


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
    async with node(migrated_db_url, wrap=WatchedStore) as here:
        jobs = await due_jobs(here, 200, rounds=1)
        here.store.batches.clear()
        assert await purge_of(here).run() == 200
        assert here.store.batches == [LARGE_STEP // 3] * 3 + [200 - LARGE_STEP // 3 * 3]
        assert jobs


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


# --- in steps ---


async def test_a_large_job_is_deleted_in_steps(migrated_db_url: str) -> None:
    """No write deletes more than STEP_ROWS rows of a table, and the job goes with its last rows."""
    meter = Meter()
    async with node(migrated_db_url, wrap=WatchedStore, observer=meter) as here:
        job, _ = await large_job(here)
        small = await due_jobs(here, 3)
        here.store.node = here
        assert await purge_of(here).run() == 4
        left = here.store.left
        assert len(left) >= 3
        for before, after in pairwise(left):
            assert all(0 <= b - a <= STEP_ROWS + len(small) for b, a in zip(before, after, strict=True))
        assert left[-1] == [0] * 5
        assert sorted(await deletions(here)) == sorted(j.job_id for j in (job, *small))
        assert await counts(here.database, job.job_id) == (0, 0, 0, 0, 2)
        assert not meter.guards_lost, "an operator would look for replicas that compete"


async def test_a_job_with_large_prompts_is_deleted_in_steps(migrated_db_url: str) -> None:
    """A step deletes about STEP_BYTES, at least one row."""
    size = STEP_BYTES // 3
    async with node(migrated_db_url, wrap=WatchedStore) as here:
        # Texts that do not compress.
        body = "".join(str(pow(7, n, 1_000_003)) for n in range(size // 6))
        await large_job(here, 20, question(body=body))
        here.store.node = here
        assert await purge_of(here).run() == 1
        prompts = [left[1] for left in here.store.left]
        steps = [a - b for a, b in zip([20, *prompts], prompts, strict=False)]
        assert len(steps) > 2, steps
        assert all(1 <= step <= 7 for step in steps), steps


async def test_a_crash_between_steps_is_continued_by_the_next_run(here: Node, there: Node) -> None:
    job, prompts = await large_job(here)
    with pytest.raises(DeletionUnfinished):
        await here.do(c.PurgeJob(job_id=job.job_id))
    # The replica ends here. The job is stored, without some of its rows.
    assert (await get_job(there.database, job.job_id)).version == job.version
    assert 0 < (await counts(there.database, job.job_id))[0] < len(prompts)
    assert await deletions(there) == []
    assert await purge_of(there).run() == 1
    assert await deletions(there) == [job.job_id]
    assert await count_rows(there) == [0] * 5


async def test_what_uses_a_job_between_two_steps_does_no_harm(here: Node, there: Node) -> None:
    job, prompts = await large_job(here)
    for replica in (here, there):
        assert (await replica.queries.job(job.job_id, CLIENT)).job_id == job.job_id
    with pytest.raises(DeletionUnfinished):
        await here.do(c.PurgeJob(job_id=job.job_id))
    stored = {p.prompt_id for p in await here.database.jobs.get_prompts(p.prompt_id for p in prompts)}
    left = [p for p in prompts if p.prompt_id in stored]
    gone = [p for p in prompts if p.prompt_id not in stored]
    assert len(gone) == STEP_ROWS
    # A late answer to a prompt that is left, at another replica: it raises the version.
    await there.answer(left[0], "late")
    with pytest.raises(PromptNotFound):
        await there.answer(gone[0], "late")
    # A later end of the retention, or a copy, could not bring back what is deleted.
    with pytest.raises(JobNotFound):
        await there.do(
            c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"retention": timedelta(days=90)})
        )
    with pytest.raises(JobNotFound):
        await there.do(await prepare_retry(there.queries, there.database.jobs, CLIENT, job.job_id, "", None))
    # Labels may change, and a client may delete the job.
    await there.do(c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"labels": {"a": "b"}}))
    await here.catch_up()
    assert await purge_of(here).run() == 1
    assert await count_rows(here) == [0] * 5
    assert await deletions(here) == [job.job_id]
    for command in (c.PurgeJob(job_id=job.job_id), c.PurgeJob(job_id=job.job_id)):
        await there.do(command)
    assert await deletions(here) == [job.job_id]


async def test_a_client_may_delete_a_job_between_two_steps(here: Node, there: Node) -> None:
    job, _ = await large_job(here)
    with pytest.raises(DeletionUnfinished):
        await here.do(c.PurgeJob(job_id=job.job_id))
    await there.do(c.DeleteJob(principal=CLIENT, job_id=job.job_id))
    assert await count_rows(here) == [0] * 5
    assert await purge_of(here).run() == 0
    assert await deletions(here) == [job.job_id]


# --- the guards ---


async def test_a_retry_copies_only_before_the_end_of_the_retention(here: Node) -> None:
    """By the database's clock: a replica whose clock is behind decides that it may, and the write fails."""
    job, prompts = await large_job(here, 3)
    kept = await here.database.jobs.list_kept_answers(job.job_id)
    plan = replace(plan_retry(job, Keep.ALL), answers=tuple(kept), purge_at=None)
    assert len(plan.answers) == len(prompts)
    with pytest.raises(Contention):
        await here.do(repeat_job(job, plan, CLIENT, "r"))
    assert (await count_rows(here))[0] == 1
    later = sa.update(tables.jobs).values(purge_at=now() + timedelta(hours=1))
    await execute(here.database, later)
    assert (await here.do(repeat_job(job, plan, CLIENT, "r"))).job.carried_answers == 3


async def test_the_retention_is_changed_only_before_its_end(here: Node) -> None:
    """A replica whose clock is behind learns the database's time from the failed guard."""
    job = (await due_jobs(here, 1))[0]
    here.clock.observe(await here.database.ping() - timedelta(days=3))
    with pytest.raises(JobNotFound):
        await here.do(
            c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"retention": timedelta(days=90)})
        )
    assert (await get_job(here.database, job.job_id)).purge_at == job.purge_at


async def test_nothing_of_a_job_is_deleted_if_its_guard_fails(here: Node) -> None:
    """Neither before its time nor at another version; others of the same write go."""
    at = await here.database.ping()
    early, due, changed = await due_jobs(here, 3)
    before = await counts(here.database, early.job_id)
    asked = ((early, 1, at + timedelta(hours=1)), (due, 1, at), (changed, 7, at))
    written = await here.database.jobs.write(
        [
            JobWrite(job, version, Guard(not_before=time), deleted=True, in_steps=True)
            for job, version, time in asked
        ]
    )
    assert written.lost == {early.job_id: Lost.TIME, changed.job_id: Lost.VERSION}
    assert await counts(here.database, due.job_id) == (0, 0, 0, 0, 1)
    for job in (early, changed):
        assert await counts(here.database, job.job_id) == before
        assert await get_job(here.database, job.job_id) == job


async def test_a_head_that_is_out_of_date_is_read_again(here: Node, there: Node) -> None:
    """And not kept in memory, where readers would miss what it leaves out."""
    [job] = await due_jobs(here, 1, input_json='{"n":1}')
    [head] = await here.database.queue.list_expired(10, None)
    assert head == replace(job, input_json="")
    kept = sa.update(tables.jobs).values(purge_at=now() + timedelta(days=1), version=2)
    await execute(here.database, kept)
    await here.do(c.PurgeJob(job_id=job.job_id, head=head))
    assert (await here.queries.job(job.job_id, CLIENT)).input_json == '{"n":1}'
    await execute(here.database, sa.update(tables.jobs).values(purge_at=job.purge_at))
    here.hot.drop(job.job_id)
    await here.do(c.PurgeJob(job_id=job.job_id, head=head))
    assert await deletions(here) == [job.job_id]


# --- several replicas, and failures ---


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
