"""Clients that do not read, send nothing or send too much harm only themselves."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import hitl_service_pb2_grpc, job_service_pb2_grpc
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.config.settings import Config
from askback_server.domain.limits import Limits
from tests.support.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    Connection,
    frame,
    headers,
    message,
)
from tests.support.refusals import refusal_of
from tests.support.requests import confirm, seconds
from tests.support.service import ServiceWorld, serving
from tests.support.streams import EOF
from tests.support.waiting import until

TIGHT = Limits(hello=timedelta(seconds=1), unread=timedelta(seconds=0.5))


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter timeouts than those of a real server."""
    monkeypatch.setattr(Config, "limits", property(lambda _: TIGHT))
    monkeypatch.setattr("askback_server.transport.open_calls.INTERVAL_SECONDS", 0.1)


@asynccontextmanager
async def stranger(world: ServiceWorld) -> AsyncIterator[grpc.aio.Channel]:
    """A separate connection whose window stays small."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.service.port}", options=options) as channel:
        yield channel


def session_of(world: ServiceWorld) -> Any:
    [session] = world.service.replica.streams
    return session


async def read_to_refusal(call: Any) -> Any:
    """Read to the end; returns the refusal."""
    try:
        async with asyncio.timeout(10):
            while await call.read() is not EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return refusal_of(error)
    return None


@pytest.mark.usefixtures("tight")
async def test_a_stream_without_a_hello_ends(lite: ServiceWorld) -> None:
    for call in (lite.hitl.Converse(), lite.workers.Work()):
        found = await read_to_refusal(call)
        assert (found.code.name, found.reason) == ("INVALID_ARGUMENT", "BAD_HELLO")
        assert found.retry_delay, "a client that was slow may come again"
    # A message without frames is no hello.
    for open_call, nothing in (
        (lite.hitl.Converse, hitl.ConverseRequest()),
        (lite.workers.Work, workers.WorkRequest()),
    ):
        call = open_call()
        await call.write(nothing)
        assert (await read_to_refusal(call)).reason == "BAD_HELLO"
    streams = [lite.hitl.Converse() for _ in range(50)]
    await until(lambda: len(lite.service.replica.streams) == 50)
    await until(lambda: not lite.service.replica.streams)
    del streams
    # A stream with a hello stays.
    console = lite.console()
    await console.hello()
    await asyncio.sleep(2 * TIGHT.hello.total_seconds())
    await console.snapshot()
    await console.nothing_more()


async def test_a_hello_that_waits_for_its_turn_is_not_late(lite: ServiceWorld) -> None:
    """A server that is busy with others must not end the streams of clients that did what they should."""
    replica = lite.service.replica
    async with AsyncExitStack() as others:
        for number in range(replica.admission.console_messages._free):
            await others.enter_async_context(replica.admission.console_messages.slot(f"other {number}"))
        console = lite.console()
        greeting = asyncio.create_task(console.hello())
        await until(lambda: any(stream.received.used for stream in replica.streams))  # type: ignore[union-attr]
        [session] = replica.streams
        session.expect_hello(30.0)  # type: ignore[union-attr]
    await greeting
    await console.snapshot()


@pytest.mark.usefixtures("tight")
@pytest.mark.parametrize("what", ["refusals", "answers", "pages"])
async def test_a_console_that_does_not_read_is_paused_then_dropped(lite: ServiceWorld, what: str) -> None:
    created = await lite.jobs.CreateJob(
        jobs.CreateJobRequest(job_type="t", prompt=confirm("Go on?", body="b" * 300_000))
    )
    prompt_id = created.prompt.prompt_id
    body: dict[str, Any] = {
        "refusals": {"answer_prompt": hitl.AnswerPromptRequest(prompt_id="x")},
        "answers": {"claim_prompt": hitl.ClaimPromptRequest(prompt_id=prompt_id)},
        "pages": {"get_prompt": hitl.GetPromptRequest(prompt_id=prompt_id)},
    }[what]
    limits, sent, replica = TIGHT, 0, lite.service.replica
    async with stranger(lite) as channel:
        call = hitl_service_pb2_grpc.HitlServiceStub(channel).Converse(metadata=(("askback-user", "eve"),))
        hello = hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello())
        await call.write(hitl.ConverseRequest(frames=[hello]))
        await until(lambda: len(replica.streams) == 1)
        session, refs, maximum = session_of(lite), itertools.count(2), [0, 0, 0]
        writing = True

        async def flood() -> None:
            nonlocal sent
            while writing:
                frames = [hitl.ConverseClientFrame(ref=next(refs), **body) for _ in range(500)]
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await call.write(hitl.ConverseRequest(frames=frames))
                sent += len(frames)

        flooding = asyncio.create_task(flood())
        async with asyncio.timeout(10):
            while replica.streams:
                frames, size = session._stream.unsent
                maximum = [
                    max(maximum[0], frames),
                    max(maximum[1], size),
                    max(maximum[2], replica.unsent.total),
                ]
                await asyncio.sleep(0.002)
        writing = False
        assert maximum[0] <= limits.unsent_frames + limits.in_flight + 2
        assert maximum[1] <= limits.unsent_bytes + limits.page_bytes + limits.in_flight * 310_000
        if what == "pages":
            assert maximum[1] <= limits.unsent_bytes + limits.page_bytes
        assert replica.unsent.total == 0
        found = await read_to_refusal(call)
        assert (found.code.name, found.metadata["limit"]) == ("RESOURCE_EXHAUSTED", "unread")
        await flooding
    await until(lambda: not lite.service._server.calls.streams.total)  # type: ignore[union-attr]


@pytest.mark.usefixtures("tight")
@pytest.mark.parametrize("watch", ["WatchJob", "WatchJobs", "WatchPrompts"])
async def test_a_watcher_that_does_not_read_is_dropped(lite: ServiceWorld, watch: str) -> None:
    for _ in range(6):
        await lite.jobs.CreateJob(
            jobs.CreateJobRequest(
                job_type="t", input_json=f'"{"x" * 200_000}"', prompt=confirm(body="b" * 200_000)
            )
        )
    job = await lite.create(input_json=f'"{"x" * 100_000}"')
    async with stranger(lite) as channel:
        metadata = (("askback-user", "eve"),)
        if watch == "WatchJob":
            stub = job_service_pb2_grpc.JobServiceStub(channel)
            call = stub.WatchJob(jobs.WatchJobRequest(job_id=job.job_id), metadata=metadata)
        elif watch == "WatchJobs":
            call = job_service_pb2_grpc.JobServiceStub(channel).WatchJobs(
                jobs.WatchJobsRequest(), metadata=metadata
            )
        else:
            stub = hitl_service_pb2_grpc.HitlServiceStub(channel)
            call = stub.WatchPrompts(hitl.WatchPromptsRequest(), metadata=metadata)
        await call.read()
        if watch == "WatchJob":
            await _many_events(lite, job.job_id)
        await until(lambda: not lite.service.replica.streams)
        found = await read_to_refusal(call)
        assert (found.code.name, found.metadata["limit"]) == ("RESOURCE_EXHAUSTED", "unread")


async def _many_events(world: ServiceWorld, job_id: str) -> None:
    """Send progress larger than a window."""
    lease = (
        await world.workers.LeaseJobs(workers.LeaseJobsRequest(worker_id="w", job_types=["t"], max_jobs=1))
    ).jobs[0]
    assert lease.job.job_id == job_id
    for n in range(300):
        report = workers.ReportProgressRequest(job_id=job_id, token=lease.token, milestone=True)
        report.progress.message = f"{n} " + "m" * 900
        await world.workers.ReportProgress(report)


@pytest.mark.usefixtures("tight")
async def test_a_dropped_stream_is_reset_if_its_client_does_not_read_the_status(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the data buffered in the transport would stay until the connection ends."""
    monkeypatch.setattr("askback_server.transport.call_ends.STATUS_READ_SECONDS", 0.2)
    open_calls = lite.service._server.calls.streams  # type: ignore[union-attr]
    for _ in range(3):
        await lite.jobs.CreateJob(jobs.CreateJobRequest(job_type="t", prompt=confirm(body="b" * 200_000)))
    with Connection(lite.service.port) as eve:
        block = headers(b"/askback.v1.HitlService/WatchPrompts", (b"askback-user", b"eve"))
        eve.send(frame(HEADERS, END_HEADERS, 1, block), frame(DATA, END_STREAM, 1, message(b"")))
        await until(lambda: open_calls.total == 1)
        await until(lambda: open_calls.total == 0)
        reset = frame(RST_STREAM, 0, 1, b"0000")[:-4]
        await until(lambda: b"grpc-status\x011" in eve.received and reset in eve.received)
    assert lite.service.replica.writing.total == lite.service.replica.unsent.total == 0


async def test_a_client_that_reads_slowly_loses_nothing(lite: ServiceWorld) -> None:
    """It is paused repeatedly but never dropped."""
    created = await lite.jobs.CreateJob(
        jobs.CreateJobRequest(job_type="t", prompt=confirm(body="b" * 60_000))
    )
    get = hitl.GetPromptRequest(prompt_id=created.prompt.prompt_id)
    async with stranger(lite) as channel:
        call = hitl_service_pb2_grpc.HitlServiceStub(channel).Converse(metadata=(("askback-user", "eve"),))
        frames = [hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello())]
        await call.write(hitl.ConverseRequest(frames=frames))
        replies = set()

        async def ask() -> None:
            for start in range(2, 162, 40):
                while len(replies) < start - 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
                frames = [hitl.ConverseClientFrame(ref=r, get_prompt=get) for r in range(start, start + 40)]
                await call.write(hitl.ConverseRequest(frames=frames))

        asking = asyncio.create_task(ask())
        while len(replies) < 160:
            message = await call.read()
            replies |= {f.ref for f in message.frames if f.WhichOneof("body") == "get_prompt"}
            await asyncio.sleep(0.005)
        await asking
        call.cancel()


async def test_a_message_of_many_frames_is_refused(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.hello()
    await console.send(*(hitl.ConverseClientFrame() for _ in range(Limits().frames_per_message + 1)))
    found = await console.wait_for_end()
    assert found is not None
    assert (found.reason, list(found.violations)) == ("INVALID_FIELD", ["frames"])


@pytest.mark.parametrize("limit", ["streams", "streams_per_principal"])
async def test_waiting_calls_count_against_the_stream_limit(
    lite_url: str, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    few = Limits(streams=3) if limit == "streams" else Limits(streams_per_principal=3)
    monkeypatch.setattr(Config, "limits", property(lambda _: few))
    async with serving(lite_url) as world:
        job = await world.create()
        lease = workers.LeaseJobsRequest(worker_id="w", job_types=["other"], wait=seconds(20))
        waiting = [asyncio.ensure_future(world.workers.LeaseJobs(lease)) for _ in range(2)]
        created = await world.jobs.CreateJob(jobs.CreateJobRequest(job_type="t", prompt=confirm()))
        prompt = workers.AwaitPromptRequest(prompt_id=created.prompt.prompt_id, wait=seconds(20))
        waiting.append(asyncio.ensure_future(world.workers.AwaitPrompt(prompt)))
        open_calls = world.service._server.calls.streams  # type: ignore[union-attr]
        await until(lambda: open_calls.total == 3)
        for call in (
            world.workers.LeaseJobs(lease),
            world.workers.AwaitPrompt(prompt),
            world.jobs.WatchJob(jobs.WatchJobRequest(job_id=job.job_id)).read(),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refusal_of(refused.value).metadata["limit"] == limit
        # A call without a wait does not count, and other calls are not affected.
        await world.workers.LeaseJobs(workers.LeaseJobsRequest(worker_id="w", job_types=["other"]))
        await world.jobs.GetJob(jobs.GetJobRequest(job_id=job.job_id))
        for task in waiting:
            task.cancel()
        await until(lambda: open_calls.total == 0)
