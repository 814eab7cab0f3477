"""Every status of the service has exactly one ErrorInfo of ours. Others count as network errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.sessions import job_follower
from askback_server.transport.server import SERVICES
from tests.support.refusals import SOON, Refusal, refusal_of
from tests.support.service import ServiceWorld, serving
from tests.support.streams import EOF
from tests.support.waiting import until

METHODS = [(service, method) for service in SERVICES for method in service.methods]
CALLERS = {
    "nobody": (),
    "a stranger": (("authorization", "Bearer unknown"),),
    "not bearer": (("authorization", "Basic YTpi"),),
    "without a role for it": (("authorization", "Bearer console-token"),),
    "admin": (("authorization", "Bearer admin-token"),),
}


async def refusal(channel: grpc.aio.Channel, path: str, method: Any, metadata: Any) -> Refusal | None:
    """The refusal of a call with an empty request, or None. Streams end after their requests."""
    request = message_factory.GetMessageClass(method.input_type)()
    read = message_factory.GetMessageClass(method.output_type).FromString

    async def requests() -> AsyncIterator[Any]:
        # The first frame must be a hello.
        if method.name == "Converse":
            yield hitl.ConverseRequest(frames=[hitl.ConverseClientFrame(heartbeat={})])
        elif method.name == "Work":
            yield workers.WorkRequest(frames=[workers.WorkClientFrame(heartbeat={})])

    write = type(request).SerializeToString
    if method.client_streaming:
        call: Any = channel.stream_stream(path, write, read)(requests(), metadata=metadata, timeout=SOON)
    elif method.server_streaming:
        call = channel.unary_stream(path, write, read)(request, metadata=metadata, timeout=SOON)
    else:
        call = channel.unary_unary(path, write, read)(request, metadata=metadata, timeout=SOON)
    try:
        if method.client_streaming or method.server_streaming:
            await call.read()
            call.cancel()
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return refusal_of(error)
    return None


@pytest.mark.parametrize("caller", CALLERS)
async def test_every_method_refuses_with_our_error_info(world_with_tokens: ServiceWorld, caller: str) -> None:
    refused = 0
    for service, method in METHODS:
        path = f"/{service.full_name}/{method.name}"
        found = await refusal(world_with_tokens.channel, path, method, CALLERS[caller])
        if found is not None:
            refused += 1
            assert found.reason, (path, found)
    assert refused >= len(METHODS) * (1 if caller in ("nobody", "a stranger", "not bearer") else 0.5)


async def test_unknown_methods_and_services_have_our_error_info(world_with_tokens: ServiceWorld) -> None:
    for path in ("/askback.v1.JobService/Telepathy", "/askback.v1.NoService/GetJob", "/x/y"):
        for call in (
            world_with_tokens.channel.unary_unary(path)(b"", timeout=SOON),
            world_with_tokens.channel.stream_unary(path)(iter([b"", b""]), timeout=SOON),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            found = refusal_of(raised.value)
            assert (found.code.name, found.reason) == ("UNIMPLEMENTED", "UNKNOWN_METHOD")
    assert not [name for name in world_with_tokens.service._server.calls._wrapped if "Telepathy" in name]  # type: ignore[union-attr]


async def test_a_health_check_of_an_unknown_service_has_our_error_info(
    world_with_tokens: ServiceWorld,
) -> None:
    stub: Any = health_pb2_grpc.HealthStub(world_with_tokens.channel)
    assert (await stub.Check(health_pb2.HealthCheckRequest(service=SERVICES[0].full_name))).status == 1
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Check(health_pb2.HealthCheckRequest(service="x"))
    found = refusal_of(raised.value)
    assert (found.code.name, found.reason) == ("NOT_FOUND", "SERVICE_NOT_FOUND")


async def test_calls_and_watches_refused_by_a_drain_have_our_error_info(lite_url: str) -> None:
    """This includes a watch that the drain ends: its client resumes at another replica."""
    async with serving(lite_url) as world:
        job = await world.create()
        watch = world.jobs.WatchJob(jobs.WatchJobRequest(job_id=job.job_id, after_seq=job.version))
        await until(lambda: world.service.replica.streams)
        for stream in tuple(world.service.replica.streams):
            stream.dismiss()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await watch.read()
        assert refusal_of(raised.value).reason == "DRAINING"


async def test_quiet_watches_send_periodic_frames(lite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All after the same interval. Those of WatchJob are empty."""
    monkeypatch.setattr(job_follower, "IDLE_SECONDS", 0.05)
    async with serving(lite_url, heartbeat=0.1) as world:
        job = await world.create()
        watches = [
            world.jobs.WatchJob(jobs.WatchJobRequest(job_id=job.job_id, after_seq=job.version)),
            world.jobs.WatchJobs(jobs.WatchJobsRequest()),
            world.hitl.WatchPrompts(hitl.WatchPromptsRequest()),
        ]
        async with asyncio.timeout(SOON):
            for watch in watches:
                for _ in range(5):
                    assert await watch.read() is not EOF
        quiet = await watches[0].read()
        assert not quiet.events
        for watch in watches:
            watch.cancel()
