"""A write is applied only if its version, session and time guards hold, and else changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.aggregate import Guard
from askback_server.domain.commands import SessionRef
from askback_server.domain.errors import AskbackError, SessionMoved
from askback_server.domain.jobs import Job
from askback_server.ports.clock import uuid7
from askback_server.ports.storage import BadData, JobWrite, Lost, Wanted
from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.support.aggregates import CLIENT, WORKER
from tests.support.rows import creation, new_job, new_prompt, now, step, submission, with_children
from tests.support.storage import LONG, Node, counts, expire_session, fetch, get_job, waits_for_a_lock
from tests.support.waiting import until

ONLY_CREATED = (0, 0, 0, 0, 1)
"""No child rows, and the event of the creation."""
ALL = (1, 1, 1, 1, 2)


async def create_jobs(database: Database, count: int = 1) -> list[Job]:
    jobs = [new_job() for _ in range(count)]
    assert not (await database.jobs.write([creation(job) for job in jobs])).lost
    return jobs


async def write_checked(database: Database, write: JobWrite) -> Lost | None:
    """Write, and check that all or nothing was stored. Returns why the guard failed, if it did."""
    before, children = await get_job(database, write.job.job_id), await counts(database, write.job.job_id)
    why = (await database.jobs.write([with_children(write)])).lost.get(write.job.job_id)
    after = await counts(database, write.job.job_id)
    if why is None:
        assert await get_job(database, write.job.job_id) == write.job
        assert after == tuple(n + 1 for n in children)
    else:
        assert await get_job(database, write.job.job_id) == before
        assert after == children
    return why


async def session(database: Database, ttl: float = 3600) -> SessionRef:
    row, _ = await database.sessions.open("default", "w", "wanda", "here", ttl)
    return SessionRef(row.session_id, row.epoch)


async def test_a_write_of_an_outdated_version_is_refused(database: Database) -> None:
    [job] = await create_jobs(database)
    assert await write_checked(database, step(replace(job, version=2))) is Lost.VERSION
    assert await write_checked(database, step(replace(job, version=99))) is Lost.VERSION
    assert await write_checked(database, step(job, promoted=True)) is None
    assert await write_checked(database, step(job, promoted=False)) is Lost.VERSION


async def test_a_write_of_a_deleted_job_is_refused(database: Database) -> None:
    unknown = new_job()
    written = await database.jobs.write([with_children(step(unknown))])
    assert written.lost == {unknown.job_id: Lost.VERSION}
    assert await counts(database, unknown.job_id) == (0, 0, 0, 0, 0)


async def test_a_write_of_an_expired_or_moved_session_is_refused(database: Database) -> None:
    [job] = await create_jobs(database)
    row, secret = await database.sessions.open("default", "w", "wanda", "here", 3600)
    assert await write_checked(database, step(job, guard=Guard(SessionRef(uuid7(), 0)))) is Lost.SESSION
    assert (
        await write_checked(database, step(job, guard=Guard(SessionRef(row.session_id, 2)))) is Lost.SESSION
    )
    first = step(job, guard=Guard(SessionRef(row.session_id, 1)))
    assert await write_checked(database, first) is None

    assert await database.sessions.resume(row.session_id, secret, "wanda", "there", 3600)
    job = first.job
    assert await write_checked(database, step(job, guard=Guard(SessionRef(row.session_id, 1)))) is Lost.MOVED
    any_epoch = step(job, guard=Guard(SessionRef(row.session_id, 0)))
    assert not (await database.jobs.write([any_epoch])).lost
    second = step(any_epoch.job, guard=Guard(SessionRef(row.session_id, 2)))
    assert not (await database.jobs.write([second])).lost

    await expire_session(database, row.session_id)
    for epoch in (0, 2):
        late = step(second.job, guard=Guard(SessionRef(row.session_id, epoch)))
        assert await write_checked(database, late) is Lost.SESSION


async def test_a_write_outside_its_time_bounds_is_refused(database: Database) -> None:
    [job] = await create_jobs(database)
    at = await database.ping()
    assert await write_checked(database, step(job, guard=Guard(not_before=at + LONG))) is Lost.TIME
    assert await write_checked(database, step(job, guard=Guard(not_after=at - LONG))) is Lost.TIME
    assert await write_checked(database, step(job, guard=Guard(None, at - LONG, at))) is Lost.TIME
    both = Guard(await session(database), at - LONG, at + LONG)
    assert await write_checked(database, step(job, guard=both)) is None


async def test_a_new_job_is_not_written_if_its_guard_fails(database: Database) -> None:
    """The write that creates a job may lease it as well. The others of the batch are written."""
    row, secret = await database.sessions.open("default", "w", "wanda", "here", 3600)
    assert await database.sessions.resume(row.session_id, secret, "wanda", "there", 3600)
    at = await database.ping()
    cases = [
        (Guard(SessionRef(row.session_id, 2), at - LONG, at + LONG), None),
        (Guard(SessionRef(row.session_id, 1)), Lost.MOVED),
        (Guard(SessionRef(row.session_id, 3)), Lost.SESSION),
        (Guard(SessionRef(uuid7(), 0)), Lost.SESSION),
        (Guard(not_before=at + LONG), Lost.TIME),
        (Guard(not_after=at - LONG), Lost.TIME),
        (Guard(), None),
    ]
    jobs = [new_job(request_id=f"guarded{n}") for n in range(len(cases))]
    writes = [replace(creation(job), guard=guard) for job, (guard, _) in zip(jobs, cases, strict=True)]
    written = await database.jobs.write([with_children(write) for write in writes])
    assert [written.lost.get(job.job_id) for job in jobs] == [why for _, why in cases]
    for job, (_, why) in zip(jobs, cases, strict=True):
        assert await counts(database, job.job_id) == ((0, 0, 0, 0, 0) if why else (1, 1, 1, 1, 1))


async def test_the_outcome_of_a_write_has_the_database_s_time(database: Database) -> None:
    [job] = await create_jobs(database)
    before = await database.ping()
    written = await database.jobs.write([step(job)])
    assert before <= written.now <= await database.ping()
    assert (await database.jobs.write([step(job)])).now > written.now


async def test_a_mixed_batch_stores_exactly_the_writes_whose_guards_hold(database: Database) -> None:
    jobs = await create_jobs(database, 40)
    dead, alive, at = SessionRef(uuid7(), 0), await session(database), await database.ping()
    expected: dict[str, Lost | None] = {}
    batch = []
    for i, job in enumerate(jobs):
        write, why = [
            (step(job, guard=Guard(alive)), None),
            (step(replace(job, version=7)), Lost.VERSION),
            (step(job, guard=Guard(dead)), Lost.SESSION),
            (step(job, guard=Guard(not_before=at + LONG)), Lost.TIME),
            (step(job, guard=Guard(not_after=at - LONG)), Lost.TIME),
        ][i % 5]
        batch.append(with_children(write))
        expected[job.job_id] = why
    fresh = [with_children(creation(new_job(request_id=f"r{i % 3}"))) for i in range(6)]
    written = await database.jobs.write([*batch, *fresh])

    assert {k: v for k, v in written.lost.items() if k in expected} == {
        k: v for k, v in expected.items() if v
    }
    for write in batch:
        won = expected[write.job.job_id] is None
        assert await counts(database, write.job.job_id) == (ALL if won else ONLY_CREATED)
        assert (await get_job(database, write.job.job_id)).version == (2 if won else 1)
    won_requests = [w for w in fresh if w.job.job_id not in written.lost]
    assert sorted(w.job.request_id for w in won_requests) == ["r0", "r1", "r2"]
    for write in fresh:
        won = write in won_requests
        assert await counts(database, write.job.job_id) == ((1, 1, 1, 1, 1) if won else (0, 0, 0, 0, 0))


async def test_a_repeated_request_id_creates_no_second_job(database: Database) -> None:
    first, again = new_job(request_id="r"), new_job(request_id="r")
    elsewhere = new_job(request_id="r", namespace="other")
    unnamed = [new_job(), new_job()]
    assert not (await database.jobs.write([creation(first)])).lost
    batch = [with_children(creation(job)) for job in (again, elsewhere, *unnamed)]
    written = await database.jobs.write(batch)
    assert written.lost == {again.job_id: Lost.VERSION}
    assert await counts(database, again.job_id) == (0, 0, 0, 0, 0)
    assert await counts(database, elsewhere.job_id) == (1, 1, 1, 1, 1)
    assert await database.jobs.get_jobs([again.job_id]) == []
    [found] = await database.jobs.load([Wanted(request=("default", "r"))])
    assert found.job == first


async def test_a_delete_removes_all_rows_of_a_job_but_its_log(database: Database) -> None:
    [job, other] = await create_jobs(database, 2)
    first = with_children(step(job))
    await database.jobs.write([first, with_children(step(other))])
    deletion = step(first.job, deleted=True)
    stale = step(job, deleted=True)
    assert (await database.jobs.write([stale])).lost == {job.job_id: Lost.VERSION}
    assert await counts(database, job.job_id) == ALL
    assert not (await database.jobs.write([deletion])).lost
    assert await counts(database, job.job_id) == (0, 0, 0, 0, 3)
    assert await database.jobs.get_jobs([job.job_id]) == []
    assert await counts(database, other.job_id) == ALL
    again = creation(new_job(job_id=job.job_id))
    assert not (await database.jobs.write([again])).lost


async def test_a_delete_is_guarded_like_any_other_write(database: Database) -> None:
    [job] = await create_jobs(database)
    early = step(job, deleted=True, guard=Guard(not_before=await database.ping() + LONG))
    assert (await database.jobs.write([early])).lost == {job.job_id: Lost.TIME}
    assert await get_job(database, job.job_id) == job


async def test_a_batch_of_failed_guards_writes_nothing_and_gives_every_reason(database: Database) -> None:
    jobs = await create_jobs(database, 3)
    written = await database.jobs.write([with_children(step(replace(j, version=5))) for j in jobs])
    assert written.lost == {j.job_id: Lost.VERSION for j in jobs}
    events = await fetch(database, sa.select(sa.func.count().label("n")).select_from(tables.events))
    assert events[0]["n"] == 3


def make_unstorable(write: JobWrite, what: str) -> JobWrite:
    """Put data into a write that validation would have refused."""
    if what == "same answer twice":
        write.submissions.append(submission(next(iter(write.new_prompts.values()))))
        return write
    values: dict[str, dict[str, Any]] = {
        "surrogate": {"worker_id": "\ud800"},
        "too large": {"token": 2**63},
        "nul": {"worker_id": "a\0b"},
        "no json": {"result_json": "{"},
    }
    write.job = replace(write.job, **values[what])
    return write


async def check_refused(database: Database, what: str) -> None:
    """The whole batch is refused, and the next write succeeds."""
    [good, bad] = await create_jobs(database, 2)
    culprit = make_unstorable(with_children(step(bad)), what)
    with pytest.raises(BadData):
        await database.jobs.write([with_children(step(good)), culprit, creation(new_job())])
    for job in (good, bad):
        assert await get_job(database, job.job_id) == job
        assert await counts(database, job.job_id) == ONLY_CREATED
    assert await write_checked(database, step(good)) is None
    assert await write_checked(database, step(bad)) is None


@pytest.mark.parametrize("what", ["surrogate", "too large", "same answer twice"])
async def test_data_that_every_database_refuses_fails_the_whole_batch(database: Database, what: str) -> None:
    await check_refused(database, what)


@pytest.mark.parametrize("what", ["nul", "no json"])
async def test_data_that_only_postgresql_refuses_fails_the_whole_batch(pg_url: str, what: str) -> None:
    """SQLite would store it: there only validation refuses it."""
    database = await Database.open(pg_url)
    try:
        await check_refused(database, what)
    finally:
        await database.close()


async def test_concurrent_writes_of_one_version_have_one_winner(migrated_db_url: str) -> None:
    databases = [await Database.open(migrated_db_url) for _ in range(4)]
    try:
        jobs = await create_jobs(databases[0], 20)
        # The batches list the jobs in different orders, but lock them in the same order.
        batches = [
            [with_children(step(job, worker_id=str(i))) for job in (jobs if i % 2 else jobs[::-1])]
            for i in range(4)
        ]
        written = await asyncio.gather(
            *(d.jobs.write(batch) for d, batch in zip(databases, batches, strict=True))
        )
        for job in jobs:
            winners = [i for i, w in enumerate(written) if job.job_id not in w.lost]
            assert len(winners) == 1
            assert (await get_job(databases[0], job.job_id)).worker_id == str(winners[0])
            assert await counts(databases[0], job.job_id) == ALL
    finally:
        for each in databases:
            await each.close()


async def test_a_guard_is_evaluated_after_the_wait_for_a_row_lock(pg_url: str) -> None:
    """With now() the guard would use the time at which the statement began, before it waited."""
    database, other = await Database.open(pg_url), await Database.open(pg_url)
    try:
        jobs = await create_jobs(database, 2)
        late, alive = jobs[0], await session(database, 3600)
        async with other._dialect.reads.connect() as holder:
            await holder.execution_options(isolation_level="READ COMMITTED")
            # A change of the row that keeps the version makes the database evaluate the guard again.
            await holder.execute(sa.update(tables.jobs).values(priority=1))
            deadline = await database.ping() + timedelta(milliseconds=60)
            batch = [
                with_children(step(late, guard=Guard(not_after=deadline))),
                with_children(step(jobs[1], guard=Guard(alive))),
            ]
            writing = asyncio.create_task(database.jobs.write(batch))

            async def waits() -> bool:
                return await waits_for_a_lock(other) and not writing.done()

            await until(waits, "the writer waits for the lock")

            async def deadline_has_passed() -> bool:
                return await other.ping() > deadline

            await until(deadline_has_passed, "the deadline passes")
            await holder.commit()
        written = await writing
        assert written.lost == {late.job_id: Lost.TIME}
        assert await counts(database, late.job_id) == ONLY_CREATED
        assert await counts(database, jobs[1].job_id) == ALL
    finally:
        await database.close()
        await other.close()


async def test_a_write_whose_version_changed_during_the_wait_for_a_lock_is_refused(pg_url: str) -> None:
    database, other = await Database.open(pg_url), await Database.open(pg_url)
    try:
        [job] = await create_jobs(database)
        async with other._dialect.reads.connect() as holder:
            await holder.execution_options(isolation_level="READ COMMITTED")
            await holder.execute(sa.update(tables.jobs).values(version=5))
            writing = asyncio.create_task(database.jobs.write([with_children(step(job))]))

            await until(lambda: waits_for_a_lock(other), "the writer waits for the lock")
            await holder.commit()
        assert (await writing).lost == {job.job_id: Lost.VERSION}
        assert await counts(database, job.job_id) == ONLY_CREATED
    finally:
        await database.close()
        await other.close()


async def test_prompts_of_a_refused_write_are_not_stored(database: Database) -> None:
    """Child rows of a refused write are dropped even where no foreign key would refuse them."""
    [job] = await create_jobs(database)
    prompt = new_prompt(job, expires_at=now())
    write = step(replace(job, version=9))
    write.new_prompts[prompt.prompt_id] = prompt
    write.changed_prompts[prompt.prompt_id] = (replace(prompt, revision=2), True)
    assert (await database.jobs.write([write])).lost
    assert await database.jobs.get_prompts([prompt.prompt_id]) == []


@pytest.mark.parametrize("what", ["progress", "ask", "complete"])
async def test_a_write_on_a_superseded_stream_is_refused_as_moved_and_can_be_retried(
    here: Node, what: str
) -> None:
    """The worker still holds its job through its next stream, so the error must not be LeaseLost."""
    row, secret = await here.database.sessions.open("default", "w", WORKER.subject, "here", 3600.0)
    old = SessionRef(row.session_id, row.epoch)
    job = await here.lease(await here.create(), old)
    moved = await here.database.sessions.resume(row.session_id, secret, WORKER.subject, "there", 3600.0)
    assert moved is not None
    command: dict[str, Any] = {
        "progress": here.progress_command(job, 1),
        "ask": here.ask_command(job),
        "complete": c.CompleteJob(principal=WORKER, job_id=job.job_id, token=job.token),
    }
    mine = command[what]
    with pytest.raises(SessionMoved) as refused:
        await here.do(replace(mine, session=old))
    assert refused.value.retry_after is not None
    assert (await get_job(here.database, job.job_id)).version == job.version
    # Other commands of the batch succeed, and so does the same write on the next stream.
    other = here.engine.submit(
        c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"labels": {"x": "1"}})
    )
    again = here.engine.submit(replace(mine, session=old))
    with pytest.raises(SessionMoved):
        await again
    assert (await other).labels == {"x": "1"}
    await here.do(replace(mine, session=SessionRef(row.session_id, moved.epoch)))
    await expire_session(here.database, row.session_id)
    with pytest.raises(AskbackError) as lost_for_good:
        await here.do(replace(here.progress_command(job, 2), session=old))
    assert not isinstance(lost_for_good.value, SessionMoved)
