"""A stream is also bounded in bytes: for waiting replies and for waiting requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import hitl_service_pb2_grpc
from askback.v1 import job_service_pb2 as jobs
from askback_server.domain.limits import Limits
from tests.support.requests import ACCEPT, confirm
from tests.support.service import ServiceWorld
from tests.support.streams import ABSENT_ID
from tests.support.waiting import until

LARGE = 200_000


@asynccontextmanager
async def console(world: ServiceWorld) -> AsyncIterator[tuple[Any, Any]]:
    """A console on a separate connection with a small window, and its session at the server."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.service.port}", options=options) as channel:
        stub: Any = hitl_service_pb2_grpc.HitlServiceStub(channel)
        call = stub.Converse(metadata=(("askback-user", "eve"),))
        hello = hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello())
        await call.write(hitl.ConverseRequest(frames=[hello]))
        await until(lambda: world.service.replica.streams)
        [session] = world.service.replica.streams
        try:
            yield call, session
        finally:
            call.cancel()


async def read_replies(call: Any, count: int) -> set[int]:
    """The refs of this number of replies."""
    refs: set[int] = set()
    async with asyncio.timeout(10):
        while len(refs) < count:
            refs |= {frame.ref for frame in (await call.read()).frames if frame.ref > 1}
    return refs


async def test_large_replies_stop_the_reader(lite: ServiceWorld) -> None:
    created = await lite.jobs.CreateJob(jobs.CreateJobRequest(job_type="t", prompt=confirm(body="b" * LARGE)))
    claim = hitl.ClaimPromptRequest(prompt_id=created.prompt.prompt_id)
    count = Limits().in_flight // 2
    async with console(lite) as (call, session):
        for ref in range(2, 2 + count):
            frame = hitl.ConverseClientFrame(ref=ref, claim_prompt=claim)
            await call.write(hitl.ConverseRequest(frames=[frame]))
        await until(lambda: session.is_full)
        assert session._stream.unsent[0] < Limits().unsent_frames, "full by its frames"
        assert await read_replies(call, count) == set(range(2, 2 + count))
        await until(lambda: not session.is_full)


async def test_large_requests_stop_the_reader(lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that wait for the engine count too, which is slow here."""
    engine = lite.service.replica.engine
    submit, held = engine.submit, list[tuple[Any, asyncio.Future[Any]]]()

    def slow(command: Any) -> asyncio.Future[Any]:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        held.append((command, reply))
        return reply

    monkeypatch.setattr(engine, "submit", slow)
    count, maximum = 20, Limits().unsent_bytes // LARGE + 1
    answer = hitl.AnswerPromptRequest(
        prompt_id=ABSENT_ID, revision=1, answer_id="a", decision=ACCEPT, values_json=f'"{"v" * LARGE}"'
    )
    async with console(lite) as (call, session):

        async def write() -> None:
            for ref in range(2, 2 + count):
                frame = hitl.ConverseClientFrame(ref=ref, answer_prompt=answer)
                await call.write(hitl.ConverseRequest(frames=[frame]))

        writing = asyncio.create_task(write())
        await until(lambda: session.is_full)
        await lite.jobs.ListJobs(jobs.ListJobsRequest())
        assert len(held) <= maximum

        async def serve() -> None:
            for n in range(count):
                await until(lambda at=n: len(held) > at)  # type: ignore[misc]
                assert len(held) - n <= maximum
                command, reply = held[n]
                try:
                    reply.set_result(await submit(command))
                except Exception as error:
                    reply.set_exception(error)

        serving = asyncio.create_task(serve())
        assert await read_replies(call, count) == set(range(2, 2 + count))
        await serving
        await writing
