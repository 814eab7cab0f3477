"""The interceptor around streams, on a real server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain.limits import Limits
from askback_server.transport.call_ends import REQUEST_ID
from tests.support.intercepted import ADA, collect_messages, frame, reason_of, serving
from tests.support.waiting import until


def call_records(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [r for r in caplog.records if r.name == "askback.server.calls"]


@pytest.mark.parametrize("watch", ["WatchJob", "WatchJobs"])
async def test_server_streams_of_both_styles_are_logged(watch: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="askback.server.calls")
    ask: Any = (
        (lambda what: jobs.WatchJobRequest(job_id=what))
        if watch == "WatchJob"
        else (lambda what: jobs.WatchJobsRequest(resume_token=what))
    )
    async with serving() as world:
        call = getattr(world.stub, watch)(ask(""), metadata=ADA)
        assert dict(await call.initial_metadata())[REQUEST_ID]
        got = [m async for m in call]
        assert [m.events[0].actor if watch == "WatchJob" else m.reset for m in got] == ["ada"] * 3
        for what, code in (
            ("missing", grpc.StatusCode.NOT_FOUND),
            ("bug", grpc.StatusCode.INTERNAL),
            ("leak", grpc.StatusCode.INTERNAL),
        ):
            call = getattr(world.stub, watch)(ask(what), metadata=ADA, timeout=5)
            for _ in range(3):
                assert await call.read() is not grpc.aio.EOF
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() is code
            reason_of(refused.value)
        # The status reaches the client before the call's task has ended.
        await until(lambda: world.interceptor.streams.total == 0)
    assert [line.code for line in call_records(caplog)] == ["OK", "NOT_FOUND", "INTERNAL", "INTERNAL"]


@pytest.mark.parametrize("method", ["Talk", "Generate"])
async def test_bidirectional_streams_of_both_styles_know_their_caller(method: str) -> None:
    async with serving() as world:
        call = world.stream(method)
        for ref in (1, 2, 3):
            await call.write(frame(ref))
            answer = await call.read()
            assert answer.frames[0].ref == ref
            assert answer.frames[0].welcome.replica == "ada"
        assert world.interceptor.streams.total == 1
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


async def test_a_bidirectional_stream_ends_with_a_status() -> None:
    async with serving() as world:
        call = world.stream("Talk")
        await call.write(frame(13))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(refused.value) == "ERROR_REASON_DRAINING"


async def test_client_streams_are_intercepted() -> None:
    async with serving() as world:

        async def say(*refs: int) -> AsyncIterator[workers.WorkRequest]:
            for ref in refs:
                yield frame(ref)

        answer = await world.stream_unary(say(1, 2))
        assert [f.ref for f in answer.frames] == [1, 2]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.stream_unary(say(13))
        assert reason_of(refused.value) == "ERROR_REASON_INVALID_FIELD"


@pytest.mark.parametrize("watch", ["GetJob", "WatchJob", "WatchJobs"])
async def test_a_cancel_reaches_the_handler_and_frees_the_stream(
    watch: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="askback.server.calls")
    requests = {
        "GetJob": jobs.GetJobRequest(job_id="wait"),
        "WatchJob": jobs.WatchJobRequest(job_id="wait"),
        "WatchJobs": jobs.WatchJobsRequest(resume_token="wait"),
    }
    async with serving() as world:
        call = getattr(world.stub, watch)(requests[watch], metadata=ADA)
        await asyncio.wait_for(world.service.started.wait(), 5)
        call.cancel()
        await asyncio.wait_for(world.service.cancelled.wait(), 5)
        await until(lambda: not world.interceptor.streams.total and call_records(caplog))
    assert call_records(caplog)[0].code == "CANCELLED"
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_streams_are_limited_per_principal_and_in_total() -> None:
    async with serving(Limits(streams=3, streams_per_principal=2)) as world:
        waiting = jobs.WatchJobRequest(job_id="wait")

        def open_one(user: str) -> Any:
            return world.stub.WatchJob(waiting, metadata=(("askback-user", user),))

        async def refuse_stream(user: str) -> tuple[str, str]:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await collect_messages(open_one(user))
            assert reason_of(error.value) == "ERROR_REASON_LIMIT_EXCEEDED"
            return error.value.code().name, str(error.value.details())

        calls = [open_one("ada"), open_one("ada")]
        for call in calls:
            await call.read()
        assert await refuse_stream("ada") == (
            "RESOURCE_EXHAUSTED",
            "you have too many open streams; close some first",
        )
        calls.append(open_one("bob"))
        await calls[-1].read()
        assert (await refuse_stream("eve"))[1].startswith("this replica has too many")
        for call in calls:
            call.cancel()
        await until(lambda: not world.interceptor.streams.total)
        assert not world.interceptor.streams._by_caller


async def test_a_stop_ends_waiting_streams_with_a_status(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="askback.server.calls")
    async with serving() as world:
        call = world.stub.WatchJob(jobs.WatchJobRequest(job_id="wait"), metadata=ADA)
        await asyncio.wait_for(world.service.started.wait(), 5)
        await asyncio.wait_for(world.server.stop(0.05), 5)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await collect_messages(call)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        await until(lambda: call_records(caplog))
    assert call_records(caplog)[0].code == "CANCELLED"
