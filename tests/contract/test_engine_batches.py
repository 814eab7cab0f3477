"""The engine groups commands into few durable writes; each caller gets its own reply after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.errors import (
    Contention,
    Draining,
    InvalidArgument,
    JobNotFound,
    LeaseLost,
    QueueFull,
    SessionMoved,
    StorageUnavailable,
)
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState, Progress
from askback_server.domain.prompts import AnswerStatus
from askback_server.ports.clock import uuid7
from askback_server.ports.storage import JobWrite, Written
from tests.support.aggregates import CLIENT, WORKER
from tests.support.rows import creation, new_job, step
from tests.support.storage import DelegatingStore, GatedStore, Node, check_job, execute, get_job, node, whole
from tests.support.waiting import until


def unstorable(**fields: Any) -> c.CreateJob:
    """A command that passes validation but that no database stores: its subject has a lone surrogate."""
    return c.CreateJob(principal=replace(CLIENT, subject="\ud800"), namespace="", job_type="refund", **fields)


async def test_commands_that_arrive_during_a_write_form_one_batch(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=GatedStore) as here:
        jobs = [await here.lease_new_job() for _ in range(8)]
        written = len(here.store.batches)
        here.store.gate.clear()
        first = here.engine.submit(here.progress_command(jobs[0], 1))
        await here.store.waiting.wait()
        rest = [here.engine.submit(here.progress_command(job, n)) for n in range(2, 20) for job in jobs]
        here.store.gate.set()
        await asyncio.gather(first, *rest)
        # The first command is written alone and at once; those that arrive during its write form one batch.
        assert here.store.batches[written:] == [1, 8]
        for job in jobs:
            aggregate, events = await check_job(here.database, job.job_id)
            assert aggregate.job is not None
            assert aggregate.job.progress == Progress(done=19)
            reported = [(e.data or {})["done"] for e in events if e.type is EventType.JOB_PROGRESSED]
            assert reported == [*range(1 if job is jobs[0] else 2, 20)], "every event is stored, in order"


async def test_a_batch_is_bounded_by_its_number_of_commands(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=GatedStore, batch_commands=10) as here:
        here.store.gate.clear()
        made = [asyncio.create_task(here.create()) for _ in range(35)]
        await here.store.waiting.wait()
        here.store.gate.set()
        await asyncio.gather(*made)
        assert here.store.batches[-3:] == [10, 10, 5]
        assert max(here.store.batches) == 10


async def test_a_batch_is_bounded_by_bytes_too(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=GatedStore) as here:
        here.store.gate.clear()
        large = '"' + "x" * 200_000 + '"'
        made = [asyncio.create_task(here.create(input_json=large)) for _ in range(50)]
        await here.store.waiting.wait()
        here.store.gate.set()
        await asyncio.gather(*made)
        assert sum(here.store.batches) == 50
        assert max(here.store.batches) <= 21


async def test_no_reply_and_no_event_is_sent_before_the_commit(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=GatedStore) as here, node(migrated_db_url) as other:
        job, prompt = await here.waiting()
        here.store.gate.clear()
        answering = asyncio.create_task(here.answer(prompt))
        await here.store.waiting.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not answering.done()
        assert not here.prompt_states(prompt.prompt_id)[1:], "followers get nothing either"
        assert (await get_job(other.database, job.job_id)).state is JobState.PENDING_HITL
        here.store.gate.set()
        assert (await answering).status is AnswerStatus.ACCEPTED
        assert (await get_job(other.database, job.job_id)).state is JobState.RUNNING
        assert here.prompt_states(prompt.prompt_id)[-1] == "ANSWERED"


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


async def test_commands_on_one_job_are_applied_in_order(here: Node) -> None:
    job = await here.lease_new_job()
    commands: list[c.Command] = []
    for n in range(10):
        key = f"k{n}"
        commands += [
            here.ask_command(job, key),
            c.CancelPrompt(principal=CLIENT, ref=c.PromptRef(job_id=job.job_id, key="k0")),
            here.progress_command(job, n),
        ]
    commands.append(c.CompleteJob(principal=WORKER, job_id=job.job_id, token=job.token, result_json="1"))
    commands.append(here.progress_command(job, 99))
    replies = await asyncio.gather(*map(here.engine.submit, commands), return_exceptions=True)
    assert isinstance(replies[-1], LeaseLost), "a command after the end is refused"
    _, events = await check_job(here.database, job.job_id)
    keys = [(e.data or {})["key"] for e in events if e.type is EventType.PROMPT_ASKED]
    assert keys == [f"k{n}" for n in range(10)]
    assert events[-1].type is EventType.JOB_COMPLETED


async def test_equal_requests_in_one_batch_make_one_job(here: Node) -> None:
    command = c.CreateJob(principal=CLIENT, namespace="", job_type="refund", request_id="r", input_json="1")
    made = await asyncio.gather(*(here.do(command) for _ in range(20)))
    assert len({m.job.job_id for m in made}) == 1
    assert sorted(m.replayed for m in made) == [False] + [True] * 19


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


async def test_a_full_queue_refuses_commands_but_still_accepts_answers(
    migrated_db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("askback_server.engine.command_queue.SHARE_OF_ONE", 1.0)
    async with node(migrated_db_url, wrap=GatedStore, queue=16) as here:
        job, prompt = await here.waiting()
        here.store.gate.clear()
        replies = [here.engine.submit(here.progress_command(job, 0))]
        await here.store.waiting.wait()
        replies += [here.engine.submit(here.progress_command(job, n)) for n in range(12)]
        with pytest.raises(QueueFull) as caught:
            here.engine.submit(here.progress_command(job, 99))
        assert caught.value.retry_after
        assert here.engine.waiting == 12
        answers = [here.engine.submit(here.answer_command(prompt, f"a{n}")) for n in range(3)]
        answers.append(here.engine.submit(c.RunDue(job_id=job.job_id)))
        with pytest.raises(QueueFull):
            here.engine.submit(here.answer_command(prompt, "a9"))
        here.store.gate.set()
        await asyncio.gather(*replies)
        results = await asyncio.gather(*answers)
        assert [r.status for r in results[:3]] == ["ACCEPTED", "CLOSED", "CLOSED"]
        await here.do(here.progress_command(job, 100))


async def test_drain_refuses_new_commands_and_replies_to_all_queued_ones(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=GatedStore, batch_commands=4) as here:
        job = await here.lease_new_job()
        here.store.gate.clear()
        replies = [here.engine.submit(here.progress_command(job, n)) for n in range(30)]
        await here.store.waiting.wait()
        draining = asyncio.create_task(here.engine.drain())
        await asyncio.sleep(0)
        with pytest.raises(Draining):
            here.engine.submit(here.progress_command(job, 99))
        assert not draining.done()
        here.store.gate.set()
        await draining
        assert all(reply.done() for reply in replies)
        assert here.engine.waiting == 0
        assert len({await reply for reply in replies}) == 30
        await here.engine.drain()


async def test_a_cancelled_caller_does_not_cancel_its_command(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=GatedStore) as here:
        job, prompt = await here.waiting()
        here.store.gate.clear()
        writing = asyncio.create_task(here.do(here.progress_command(job, 1)))
        await here.store.waiting.wait()
        queued = asyncio.create_task(here.answer(prompt))
        await asyncio.sleep(0)
        for caller in (writing, queued):
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        here.store.gate.set()
        await here.engine.drain()
        aggregate, _ = await check_job(here.database, job.job_id)
        assert aggregate.prompts[prompt.prompt_id].state == "ANSWERED"
        assert aggregate.job is not None
        assert aggregate.job.progress == Progress(done=1)


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


async def test_a_job_that_is_not_in_memory_is_looked_up_in_the_database(here: Node) -> None:
    with pytest.raises(JobNotFound):
        await here.do(c.CancelJob(principal=CLIENT, job_id=uuid7()))
    # A job that this replica has never seen.
    job = new_job()
    await here.database.jobs.write([creation(job)])
    assert (await here.do(c.CancelJob(principal=CLIENT, job_id=job.job_id))).state is JobState.CANCELLED


async def test_a_command_after_a_delete_in_the_same_batch_finds_no_job(here: Node) -> None:
    job = await here.create()
    cancel = c.CancelJob(principal=CLIENT, job_id=job.job_id)
    replies = await asyncio.gather(
        here.do(cancel),
        here.do(c.DeleteJob(principal=CLIENT, job_id=job.job_id)),
        here.do(cancel),
        return_exceptions=True,
    )
    assert replies[1] is None
    assert isinstance(replies[2], JobNotFound)
    assert await here.database.jobs.get_jobs([job.job_id]) == []
    assert here.hot.get(job.job_id) is None
    events = await here.database.jobs.list_events(job.job_id, 0, 10)
    assert [e.type for e in events] == ["JOB_CREATED", "JOB_CANCELLED", "JOB_DELETED"]


async def test_each_write_corrects_the_engine_s_clock(here: Node) -> None:
    """The engine estimates the database's clock; a wrong estimate gets better with every write."""
    job = await here.lease_new_job()
    for skew in (timedelta(hours=5), timedelta(hours=-5)):
        here.clock.observe(await here.database.ping() + skew)
        await here.do(here.progress_command(job, 1))
        assert abs(here.clock.now() - await here.database.ping()) < abs(skew) / 2


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


async def test_the_queue_is_bounded_in_bytes(migrated_db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def job(**fields: Any) -> c.CreateJob:
        return c.CreateJob(principal=CLIENT, namespace="", job_type="refund", **fields)

    monkeypatch.setattr("askback_server.engine.command_queue.MAX_BYTES", 100_000)
    async with node(migrated_db_url, wrap=GatedStore) as here:
        here.store.gate.clear()
        first = here.engine.submit(job())
        await here.store.waiting.wait()
        big = job(input_json=f'"{"x" * 40_000}"')
        waiting = [here.engine.submit(big), here.engine.submit(big)]
        with pytest.raises(QueueFull):
            here.engine.submit(job())
        here.store.gate.set()
        await asyncio.gather(first, *waiting)
        assert here.engine._queue.bytes == 0
        await here.engine.execute(job())
