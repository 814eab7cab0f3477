"""The engine groups commands into few durable writes; each caller gets its own reply after the commit."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.errors import (
    Draining,
    JobNotFound,
    LeaseLost,
    QueueFull,
)
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState, Progress
from askback_server.domain.prompts import AnswerStatus
from askback_server.ports.clock import uuid7
from tests.support.aggregates import CLIENT, WORKER
from tests.support.rows import creation, new_job
from tests.support.storage import GatedStore, Node, check_job, get_job, node


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
