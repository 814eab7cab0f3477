"""A lease and a resume of its session at the same time: the worker gets every job that its session holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from askback_server.domain.aggregate import Guard
from askback_server.domain.commands import LeaseJob, SessionRef
from askback_server.domain.errors import IllegalState
from askback_server.ports.storage import JobWrite, Lost
from askback_server.ports.worker_sessions import Doubt, WorkerSession
from askback_server.storage.database import Database
from tests.support.aggregates import WORKER
from tests.support.fake_worker import FakeWorker, dispatching
from tests.support.rows import creation, new_job, step
from tests.support.storage import get_job, lose_outcome, node, waits_for_a_lock
from tests.support.waiting import until

TTL = 30.0
PATIENCE = 20.0


def lease(job: Any, session: WorkerSession) -> JobWrite:
    """The write of a lease, guarded by the session's epoch."""
    guard = Guard(session=SessionRef(session.session_id, session.epoch))
    return step(job, guard=guard, session_id=session.session_id, token=1)


class SlowCommits:
    """A database whose writes do not commit until `may_commit` is set."""

    def __init__(self, database: Database) -> None:
        self.written, self.may_commit = asyncio.Event(), asyncio.Event()
        own = database._dialect.write

        async def write(batch: Any) -> Any:
            connection = await database._dialect._connection()  # type: ignore[attr-defined]
            async with connection.transaction():
                outcome = await own(batch)
                self.written.set()
                await self.may_commit.wait()
            return outcome

        database._dialect.write = write  # type: ignore[method-assign]


@pytest.fixture
async def other(pg_url: str) -> AsyncIterator[Database]:
    """The database of another replica."""
    database = await Database.open(pg_url)
    yield database
    await database.close()


async def test_a_resume_waits_for_a_lease_that_is_being_committed(pg: Database, other: Database) -> None:
    job = new_job()
    await pg.jobs.write([creation(job)])
    session, secret = await pg.sessions.open("default", "w", "wanda", "here", TTL)
    slow = SlowCommits(pg)
    writing = asyncio.create_task(pg.jobs.write([lease(job, session)]))
    await slow.written.wait()
    resuming = asyncio.create_task(other.sessions.resume(session.session_id, secret, "wanda", "there", TTL))
    await until(lambda: waits_for_a_lock(pg), "the new stream waits")
    # A heartbeat does not wait.
    assert await pg.sessions.beat([(session.session_id, session.epoch)], TTL)
    slow.may_commit.set()
    assert not (await writing).lost
    resumed = await resuming
    assert resumed is not None
    assert resumed.epoch == session.epoch + 1
    assert list(await other.sessions.leases(session.session_id)) == [job.job_id]


async def test_sessions_that_resume_together_wait_for_no_lease_of_another(
    pg: Database, other: Database
) -> None:
    """One that waits alone holds no lock meanwhile, so it cannot be part of a deadlock."""
    job = new_job()
    await pg.jobs.write([creation(job)])
    opened = [await pg.sessions.open("default", f"w{n}", "wanda", "here", TTL) for n in range(4)]
    slow = SlowCommits(pg)
    writing = asyncio.create_task(pg.jobs.write([lease(job, opened[1][0])]))
    await slow.written.wait()
    resuming = [
        asyncio.create_task(other.sessions.resume(row.session_id, secret, "wanda", "there", TTL))
        for row, secret in opened
    ]
    await until(lambda: waits_for_a_lock(pg), "the session with the lease waits")
    renewed = [(row.session_id, 2) for n, (row, _) in enumerate(opened) if n != 1]
    assert len(await pg.sessions.beat(renewed, TTL)) == 3, "the others are resumed and not locked"
    slow.may_commit.set()
    assert not (await writing).lost
    assert [row and row.epoch for row in await asyncio.gather(*resuming)] == [2] * 4
    assert [held.job_id for held in await other.jobs.list_held(opened[1][0].session_id)] == [job.job_id]


async def test_extensions_and_doubts_do_not_wait_for_a_lease_that_is_being_committed(
    pg: Database, other: Database
) -> None:
    job = new_job()
    await pg.jobs.write([creation(job)])
    session, secret = await pg.sessions.open("default", "w", "wanda", "here", TTL)
    slow = SlowCommits(pg)
    writing = asyncio.create_task(pg.jobs.write([lease(job, session)]))
    await slow.written.wait()
    async with asyncio.timeout(PATIENCE):
        assert await other.sessions.extend(session.session_id, secret, "wanda", TTL) is not None
        await other.sessions.change_doubts(SessionRef(session.session_id, 0), lambda _: {"j": Doubt(1)})
    slow.may_commit.set()
    assert not (await writing).lost


async def test_a_locked_session_does_not_delay_those_that_are_extended_with_it(
    pg: Database, pg_url: str
) -> None:
    """Its own extension waits alone, and holds no lock meanwhile."""
    opened = [await pg.sessions.open("default", f"w{n}", "wanda", "here", TTL) for n in range(4)]
    [locked, *others] = [row.session_id for row, _ in opened]
    connection = await asyncpg.connect(pg_url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM worker_sessions WHERE session_id = $1 FOR UPDATE", locked)
            extending = [
                asyncio.create_task(pg.sessions.extend(row.session_id, secret, "wanda", 2 * TTL))
                for row, secret in opened
            ]
            await until(lambda: waits_for_a_lock(pg), "the locked session waits")
            async with asyncio.timeout(PATIENCE):
                free = "SELECT session_id FROM worker_sessions WHERE expires_at > $1 FOR UPDATE SKIP LOCKED"
                latest = max(row.expires_at for row, _ in opened)
                assert {str(row[0]) for row in await connection.fetch(free, latest)} == {*others}
    finally:
        await connection.close()
    assert all(await asyncio.gather(*extending))


async def test_a_lease_that_waited_for_a_resume_is_refused(pg: Database, pg_url: str) -> None:
    job = new_job()
    await pg.jobs.write([creation(job)])
    session, _ = await pg.sessions.open("default", "w", "wanda", "here", TTL)
    connection = await asyncpg.connect(pg_url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM worker_sessions FOR UPDATE")
            await connection.execute("UPDATE worker_sessions SET epoch = epoch + 1")
            writing = asyncio.create_task(pg.jobs.write([lease(job, session)]))
            await until(lambda: waits_for_a_lock(pg), "the lease waits")
    finally:
        await connection.close()
    assert (await writing).lost == {job.job_id: Lost.MOVED}
    assert await pg.sessions.leases(session.session_id) == {}


async def test_a_session_is_not_reaped_while_a_lease_is_being_committed(
    pg: Database, other: Database
) -> None:
    job = new_job()
    await pg.jobs.write([creation(job)])
    session, _ = await pg.sessions.open("default", "w", "wanda", "here", 0.5)
    slow = SlowCommits(pg)
    writing = asyncio.create_task(pg.jobs.write([lease(job, session)]))
    await slow.written.wait()

    async def has_expired() -> bool:
        return not await other.sessions.epochs([session.session_id])

    await until(has_expired, "the session has expired")
    assert await other.sessions.reap() == 0
    assert await other.queue.orphans(10) == []
    slow.may_commit.set()
    assert not (await writing).lost
    assert await other.sessions.reap() == 1
    assert await other.queue.orphans(10) == [(job.job_id, session.session_id)]


@pytest.mark.parametrize("committed", [True, False])
async def test_a_lease_with_an_unknown_outcome_reaches_the_worker_in_the_end(
    migrated_db_url: str, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is unreachable while the engine tries to find the outcome; the session survives."""
    async with node(migrated_db_url) as replica:
        job = await replica.create()
        lose_outcome(replica.database, monkeypatch, committed=committed)
        async with dispatching(replica) as dispatcher:
            worker = FakeWorker(await replica.session(), "refund", maximum=1)
            dispatcher.add(worker)
            await until(lambda: worker.taken, "the worker has the job")
        assert [j.token for j in worker.taken] == [1]
        assert (await get_job(replica.database, job.job_id)).token == 1


async def test_a_held_job_is_leased_again_only_after_an_unknown_outcome(migrated_db_url: str) -> None:
    """A read of the queue may be older than the lease, so only a lease of unknown outcome may be repeated."""
    async with node(migrated_db_url) as replica:
        job, session = await replica.create(), await replica.session()
        leased = await replica.lease(job, session)
        with pytest.raises(IllegalState):
            await replica.lease(job, session)
        command = LeaseJob(principal=WORKER, job_id=job.job_id, session=session, worker_id="w", again=True)
        assert (await replica.do(command)).token == leased.token
        with pytest.raises(IllegalState):
            await replica.do(replace(command, session=await replica.session()))
