"""A worker's stream against a scripted server: outages, resumed sessions, lost jobs and drain."""

import asyncio
from typing import Any

import grpc
import pytest

from askback._worker.job import Job
from askback.v1 import worker_service_pb2 as pb
from tests.support.fake_server import span, work_welcome
from tests.support.statuses import with_reason
from tests.support.worker_harness import WorkerHarness, with_answer


async def test_resuming_keeps_the_coroutine_and_repeats_its_question(harness: WorkerHarness) -> None:
    runs: list[int] = []

    async def fn(job: Job) -> Any:
        runs.append(1)
        return bool(await job.confirm("Go?", key="go"))

    await harness.start(fn)
    harness.lease(7)
    prompt = harness.accept_ask(await harness.stream.next())
    harness.stream.end(grpc.StatusCode.UNAVAILABLE)
    hello = await harness.next_hello(resumed=True)
    assert (hello.session_id, hello.session_secret) == ("s1", "secret")
    assert [(held.job_id, held.token) for held in hello.held_jobs] == [("j1", 7)]
    frame = await harness.stream.next()
    assert frame.ask_prompt.key == "go"
    # The answer arrived while the worker was disconnected.
    reply = pb.AskPromptResponse(prompt=with_answer(prompt, "ACCEPT"), replayed=True)
    harness.stream.send(frame.ref, ask_prompt=reply)
    assert await harness.result() is True
    assert runs == [1]


async def test_jobs_lost_according_to_the_welcome_are_cancelled(harness: WorkerHarness) -> None:
    cancelled: list[str] = []

    async def fn(job: Job) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(job.job_id)
            raise

    await harness.start(fn)
    harness.lease(1, "j1")
    harness.lease(1, "j2")
    await harness.wait_until_holding(2)
    harness.stream.end(grpc.StatusCode.UNAVAILABLE)
    await harness.next_hello(resumed=True, lost_job_ids=["j2"])
    assert not await harness.stream.frames_within()
    assert cancelled == ["j2"]
    assert harness.worker.holding == 1


async def test_an_expired_session_cancels_its_jobs(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        await asyncio.sleep(60)

    await harness.start(fn)
    harness.lease(1)
    await harness.wait_until_holding(1)
    harness.stream.end(grpc.StatusCode.UNAVAILABLE)
    refused = await harness.server.work()
    await refused.next("hello")
    refused.end(*with_reason(grpc.StatusCode.NOT_FOUND, "ERROR_REASON_SESSION_NOT_FOUND", refused.context))
    hello = await harness.next_hello(session="s2")
    assert hello.session_id == ""
    assert not hello.held_jobs
    assert harness.worker.holding == 0
    assert not await harness.stream.frames_within()


async def test_an_unacknowledged_completion_is_resent(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        return {"b": 1, "a": 2}

    await harness.start(fn)
    harness.lease(3)
    first = await harness.stream.next("complete_job")
    harness.stream.end(grpc.StatusCode.UNAVAILABLE)
    hello = await harness.next_hello(resumed=True)
    assert len(hello.held_jobs) == 1
    again = await harness.wait_for_end()
    assert again == first
    assert again.complete_job.result_json == '{"b":1,"a":2}'


async def test_go_away_moves_the_session_without_losing_the_job(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        return bool(await job.confirm("Go?", key="go"))

    await harness.start(fn)
    harness.lease(7)
    prompt = harness.accept_ask(await harness.stream.next())
    old = harness.stream
    old.send(go_away=pb.WorkGoAway(reason="drain", after=span(1)))
    new = await harness.server.work()
    frame = await new.next("hello")
    # The old stream reports that its leases moved to the new one. The worker keeps the job.
    old.send(lease_lost=pb.WorkLeaseLost(job_id="j1", token=7))
    await asyncio.sleep(0.1)
    new.send(frame.ref, **work_welcome(resumed=True))
    await asyncio.wait_for(old.half_closed.wait(), 2)
    assert "goodbye" not in [f.WhichOneof("body") for m in old.messages for f in m.frames]
    harness.stream = new
    await new.next("ask_prompt")
    harness.answer(prompt, "ACCEPT")
    assert await harness.result() is True


async def test_a_cancel_request_is_confirmed_by_a_release(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        await job.confirm("Go?", key="go")

    await harness.start(fn)
    harness.lease(1)
    harness.accept_ask(await harness.stream.next())
    harness.stream.send(cancel_requested=pb.WorkCancelRequested(job_id="j1", reason="changed my mind"))
    assert (await harness.wait_for_end()).WhichOneof("body") == "release_job"


async def test_a_worker_without_a_server_logs_the_outage_once(
    harness: WorkerHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Once per outage, at a level that is printed by default, so that a user sees why the worker is idle."""
    caplog.set_level("WARNING")

    async def fn(job: Job) -> None: ...

    def count_outage_lines() -> int:
        return sum("no connection to the server" in record.getMessage() for record in caplog.records)

    await harness.start(fn)
    assert not count_outage_lines()
    for outage in (1, 2):
        harness.stream.end(grpc.StatusCode.UNAVAILABLE, "away")
        (await harness.server.work()).end(grpc.StatusCode.UNAVAILABLE, "still away")
        await harness.next_hello(resumed=True)
        assert count_outage_lines() == outage


async def test_drain_finishes_a_running_job_and_releases_a_waiting_one(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        if job.job_id == "waits":
            await job.confirm("Go?", key="go")
        else:
            await asyncio.sleep(0.3)
            return "done"

    await harness.start(fn)
    harness.lease(1, "waits")
    harness.accept_ask(await harness.stream.next())
    harness.lease(1, "runs")
    await harness.wait_until_holding(2)
    closing = asyncio.create_task(harness.worker.aclose())
    assert (await harness.stream.next()).capacity.capacity == 0
    released = await harness.wait_for_end()
    assert released.release_job.job_id == "waits"
    assert await harness.result() == "done"
    await harness.stream.next("goodbye")
    harness.stream.end()
    await asyncio.wait_for(closing, 2)
