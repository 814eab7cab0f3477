"""A write fails or its guard does: which command gets the error, and which is decided again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.errors import (
    Contention,
    InvalidArgument,
    LeaseLost,
    SessionMoved,
    StorageUnavailable,
)
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState, Progress
from askback_server.domain.prompts import AnswerStatus
from askback_server.ports.storage import JobWrite, Written
from tests.support.aggregates import CLIENT, WORKER
from tests.support.rows import step
from tests.support.storage import DelegatingStore, GatedStore, Node, check_job, execute, get_job, node, whole
from tests.support.waiting import until


def unstorable(**fields: Any) -> c.CreateJob:
    """A command that passes validation but that no database stores: its subject has a lone surrogate."""
    return c.CreateJob(principal=replace(CLIENT, subject="\ud800"), namespace="", job_type="refund", **fields)


async def test_a_failed_write_is_reported_and_changes_nothing(
    migrated_db_url: str,
) -> None:
    class UnavailableStore(DelegatingStore):
        down = False

        async def write(self, batch: Sequence[JobWrite]) -> Any:
            if self.down:
                raise StorageUnavailable("the database does not answer")
            return await super().write(batch)

    async with node(migrated_db_url, wrap=UnavailableStore) as here:
        job = await here.lease_new_job()
        here.store.down = True
        before = len(here.received)
        with pytest.raises(StorageUnavailable):
            await here.do(here.progress_command(job, 1))
        assert len(here.received) == before
        assert (await here.queries.job(job.job_id, CLIENT)).progress is None
        here.store.down = False
        await here.do(here.progress_command(job, 2))
        aggregate, _ = await check_job(here.database, job.job_id)
        assert aggregate.job is not None
        assert aggregate.job.progress == Progress(done=2)


async def test_a_command_whose_guard_failed_is_decided_again(migrated_db_url: str) -> None:
    """The command of the loser is applied to the state that the winner has written."""

    class RaceLosingStore(DelegatingStore):
        times = 0

        async def write(self, batch: Sequence[JobWrite]) -> Written:
            if self.times and batch[0].expected:
                self.times -= 1
                [job] = await self._store.get_jobs([batch[0].job.job_id])
                assert not (await self._store.write([step(job)])).lost
            return await super().write(batch)  # type: ignore[no-any-return]

    async with node(migrated_db_url, wrap=RaceLosingStore) as here:
        job = await here.lease_new_job()
        for times in (1, 2, 3):
            here.store.times = times
            reply = await here.do(here.progress_command(job, times))
            assert reply.version == (await get_job(here.database, job.job_id)).version
        here.store.times = 4
        before = len(here.store.batches)
        with pytest.raises(Contention) as caught:
            await here.do(here.progress_command(job, 4))
        assert caught.value.retry_after
        assert len(here.store.batches) - before == 4
        stored = await get_job(here.database, job.job_id)
        assert stored.progress == Progress(done=3)
        # The job can still be written.
        assert here.store.times == 0
        await here.do(here.progress_command(job, 5))


async def test_contention_on_one_job_does_not_affect_the_others_of_its_batch(migrated_db_url: str) -> None:
    class ContendedStore(DelegatingStore):
        contended_id = ""

        async def write(self, batch: Sequence[JobWrite]) -> Written:
            for write in batch:
                if write.job.job_id == self.contended_id:
                    [job] = await self._store.get_jobs([self.contended_id])
                    assert not (await self._store.write([step(job)])).lost
            return await super().write(batch)  # type: ignore[no-any-return]

    async with node(migrated_db_url, wrap=ContendedStore) as here:
        jobs = [await here.lease_new_job() for _ in range(5)]
        here.store.contended_id = jobs[2].job_id
        replies = await asyncio.gather(
            *(here.do(here.progress_command(job, 1)) for job in jobs), return_exceptions=True
        )
        assert [isinstance(r, Contention) for r in replies] == [False, False, True, False, False]


async def test_only_the_command_that_made_a_batch_fail_gets_the_error(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=GatedStore) as here:
        job = await here.lease_new_job()
        here.store.gate.clear()
        here.engine.submit(here.progress_command(job, 0))
        await here.store.waiting.wait()
        good = [here.engine.submit(here.progress_command(job, n)) for n in range(1, 6)]
        bad = [here.engine.submit(unstorable()) for _ in range(2)]
        new = [asyncio.create_task(here.create(request_id=f"r{i}")) for i in range(7)]
        more = [here.engine.submit(here.progress_command(job, n)) for n in range(6, 11)]
        await asyncio.sleep(0)
        here.store.gate.set()
        for reply in bad:
            with pytest.raises(InvalidArgument, match="cannot store"):
                await reply
        made = await asyncio.gather(*new)
        assert len({job.job_id for job in made}) == 7
        await asyncio.gather(*good, *more)
        _, events = await check_job(here.database, job.job_id)
        assert [(e.data or {})["done"] for e in events if e.type is EventType.JOB_PROGRESSED] == [*range(11)]


async def test_an_unexpected_error_fails_its_batch_and_not_the_engine(migrated_db_url: str) -> None:
    class FailingStore(DelegatingStore):
        broken = False

        async def write(self, batch: Sequence[JobWrite]) -> Any:
            if self.broken:
                raise ZeroDivisionError("a bug")
            return await super().write(batch)

    async with node(migrated_db_url, wrap=FailingStore) as here:
        job = await here.lease_new_job()
        here.store.broken = True
        with pytest.raises(ZeroDivisionError):
            await here.do(here.progress_command(job, 1))
        here.store.broken = False
        await here.do(here.progress_command(job, 2))


async def test_guards_of_two_epochs_of_one_session_are_not_merged(migrated_db_url: str) -> None:
    """A reconnected worker and its stale stream write in one batch: only the stale stream is refused."""
    async with node(migrated_db_url, wrap=GatedStore) as here:
        for stale_first in (True, False):
            row, secret = await here.database.sessions.open("default", "w", WORKER.subject, "here", 3600)
            old = c.SessionRef(row.session_id, 1)
            job = await here.lease(await here.create(), old)
            assert await here.database.sessions.resume(row.session_id, secret, WORKER.subject, "here", 3600)
            prompt = await here.ask(job)
            here.store.gate.clear()
            here.engine.submit(c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"priority": 1}))
            await here.store.waiting.wait()
            commands = [
                here.progress_command(job, 1, session=old),
                here.progress_command(job, 2, session=replace(old, epoch=2)),
                here.answer_command(prompt),
            ]
            if stale_first:
                stale, live, answered = map(here.engine.submit, commands)
            else:
                answered, live, stale = map(here.engine.submit, reversed(commands))
            here.store.gate.set()
            with pytest.raises(SessionMoved):
                await stale
            assert await live
            assert (await answered).status is AnswerStatus.ACCEPTED
            aggregate, _ = await check_job(here.database, job.job_id)
            assert aggregate.job is not None
            assert (aggregate.job.progress, aggregate.job.state) == (Progress(done=2), JobState.RUNNING)
            assert aggregate.job.session_id == row.session_id


async def test_the_database_refuses_writes_of_an_expired_session(here: Node) -> None:
    """The engine assumes that the session is alive; the guard finds that it has expired."""
    job, prompt = await here.waiting()
    assert job.session_id is not None
    await execute(here.database, "UPDATE worker_sessions SET expires_at = '2001-01-01 00:00:00+00:00'")
    with pytest.raises(LeaseLost):
        await here.do(here.progress_command(job, 1))
    # An answer finds that the holder's session has expired: the job becomes available again.
    assert (await here.answer(prompt)).status is AnswerStatus.ACCEPTED
    aggregate, _ = await check_job(here.database, job.job_id)
    assert aggregate.job is not None
    assert (aggregate.job.state, aggregate.job.session_id) == (JobState.PENDING, None)
    assert (await whole(here.database, job.job_id))[0] == aggregate
    await until(lambda: here.engine.waiting == 0, "nothing waits")
