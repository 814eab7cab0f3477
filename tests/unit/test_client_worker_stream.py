"""A worker's stream, against a scripted server: outages, resumed sessions, lost jobs, drain."""

import asyncio
from typing import Any

import grpc
import pytest

from askback._worker.job import Job
from askback.v1 import worker_service_pb2 as pb
from tests.support.fake_server import span, work_welcome
from tests.support.statuses import with_reason
from tests.support.worker_bench import Bench, resolved


async def test_resume_keeps_the_coroutine_and_asks_again(bench: Bench) -> None:
    runs: list[int] = []

    async def fn(job: Job) -> Any:
        runs.append(1)
        return bool(await job.confirm("Go?", key="go"))

    await bench.start(fn)
    bench.lease(7)
    prompt = bench.accept_ask(await bench.stream.next())
    bench.stream.end(grpc.StatusCode.UNAVAILABLE)
    hello = await bench.next_hello(resumed=True)
    assert (hello.session_id, hello.session_secret) == ("s1", "secret")
    assert [(held.job_id, held.token) for held in hello.held_jobs] == [("j1", 7)]
    frame = await bench.stream.next()
    assert frame.ask_prompt.key == "go"
    # The answer came while the worker was away.
    reply = pb.AskPromptResponse(prompt=resolved(prompt, "ACCEPT"), replayed=True)
    bench.stream.send(frame.ref, ask_prompt=reply)
    assert await bench.result() is True
    assert runs == [1]


async def test_lost_jobs_of_a_welcome_are_cancelled(bench: Bench) -> None:
    cancelled: list[str] = []

    async def fn(job: Job) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(job.job_id)
            raise

    await bench.start(fn)
    bench.lease(1, "j1")
    bench.lease(1, "j2")
    await bench.holds(2)
    bench.stream.end(grpc.StatusCode.UNAVAILABLE)
    await bench.next_hello(resumed=True, lost_job_ids=["j2"])
    assert not await bench.stream.quiet()
    assert cancelled == ["j2"]
    assert bench.worker.holding == 1


async def test_a_session_that_is_gone_takes_its_jobs_along(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        await asyncio.sleep(60)

    await bench.start(fn)
    bench.lease(1)
    await bench.holds(1)
    bench.stream.end(grpc.StatusCode.UNAVAILABLE)
    refused = await bench.server.work()
    await refused.next("hello")
    refused.end(*with_reason(grpc.StatusCode.NOT_FOUND, "ERROR_REASON_SESSION_NOT_FOUND", refused.context))
    hello = await bench.next_hello(session="s2")
    assert hello.session_id == ""
    assert not hello.held_jobs
    assert bench.worker.holding == 0
    assert not await bench.stream.quiet()


async def test_an_unanswered_completion_is_sent_again(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return {"b": 1, "a": 2}

    await bench.start(fn)
    bench.lease(3)
    first = await bench.stream.next("complete_job")
    bench.stream.end(grpc.StatusCode.UNAVAILABLE)
    hello = await bench.next_hello(resumed=True)
    assert len(hello.held_jobs) == 1
    again = await bench.wait_for_end()
    assert again == first
    assert again.complete_job.result_json == '{"b":1,"a":2}'


async def test_go_away_moves_the_session_without_losing_the_job(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return bool(await job.confirm("Go?", key="go"))

    await bench.start(fn)
    bench.lease(7)
    prompt = bench.accept_ask(await bench.stream.next())
    old = bench.stream
    old.send(go_away=pb.WorkGoAway(reason="drain", after=span(1)))
    new = await bench.server.work()
    frame = await new.next("hello")
    # The old stream loses its leases to the new one and says so; the job is held all the same.
    old.send(lease_lost=pb.WorkLeaseLost(job_id="j1", token=7))
    await asyncio.sleep(0.1)
    new.send(frame.ref, **work_welcome(resumed=True))
    await asyncio.wait_for(old.half_closed.wait(), 2)
    assert "goodbye" not in [f.WhichOneof("body") for m in old.messages for f in m.frames]
    bench.stream = new
    await new.next("ask_prompt")
    bench.answer(prompt, "ACCEPT")
    assert await bench.result() is True


async def test_a_cancel_wish_is_confirmed_by_a_release(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        await job.confirm("Go?", key="go")

    await bench.start(fn)
    bench.lease(1)
    bench.accept_ask(await bench.stream.next())
    bench.stream.send(cancel_requested=pb.WorkCancelRequested(job_id="j1", reason="changed my mind"))
    assert (await bench.wait_for_end()).WhichOneof("body") == "release_job"


async def test_a_worker_without_a_server_says_so_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """In each outage, at a level that is printed by default: whoever wonders why it does nothing sees it."""
    caplog.set_level("WARNING")

    async def fn(job: Job) -> None: ...

    def said() -> int:
        return sum("no connection to the server" in record.getMessage() for record in caplog.records)

    await bench.start(fn)
    assert not said()
    for outage in (1, 2):
        bench.stream.end(grpc.StatusCode.UNAVAILABLE, "away")
        (await bench.server.work()).end(grpc.StatusCode.UNAVAILABLE, "still away")
        await bench.next_hello(resumed=True)
        assert said() == outage


async def test_drain_lets_a_running_job_end_and_gives_a_waiting_one_back(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        if job.job_id == "waits":
            await job.confirm("Go?", key="go")
        else:
            await asyncio.sleep(0.3)
            return "done"

    await bench.start(fn)
    bench.lease(1, "waits")
    bench.accept_ask(await bench.stream.next())
    bench.lease(1, "runs")
    await bench.holds(2)
    closing = asyncio.create_task(bench.worker.aclose())
    assert (await bench.stream.next()).capacity.capacity == 0
    released = await bench.wait_for_end()
    assert released.release_job.job_id == "waits"
    assert await bench.result() == "done"
    await bench.stream.next("goodbye")
    bench.stream.end()
    await asyncio.wait_for(closing, 2)
