"""A caller without a token cannot affect other callers."""

import asyncio
import gzip
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from askback.v1 import job_service_pb2 as jobs
from askback_server.domain.limits import Limits
from askback_server.transport.server import SERVICES
from askback_server.transport.tokens import hash_token
from tests.support.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, Connection, frame, headers, message
from tests.support.refusals import refusal_of
from tests.support.service import ServiceWorld, serving
from tests.support.waiting import until

METHODS = [m for service in SERVICES for m in service.methods]
REFUSED = b"grpc-status\x0216"
"""UNAUTHENTICATED, as grpc writes its trailers."""
GARBAGE = {
    "truncated": b"\x0a\xff\x01x",
    "text": b"\xff\xfe\xfd",
    "group": b"\x0b" * 4000,
    "utf8": b"\x0a\x02\xff\xfe",
}


@pytest.fixture
async def world_with_token(lite_url: str, tmp_path: Path) -> Any:
    """A server with one valid token, `ada-token`."""
    file = tmp_path / "tokens.toml"
    file.write_text(
        f'[[tokens]]\nsha256 = "{hash_token("ada-token")}"\nsubject = "ada"\n'
        'roles = ["client", "worker", "console"]\nnamespaces = ["default"]\n'
    )
    async with serving(lite_url, auth=str(file)) as world:
        yield world


def ada(world: ServiceWorld) -> Any:
    return world.with_token("ada-token")


async def test_a_path_that_is_not_text_does_not_stop_the_server(world_with_token: ServiceWorld) -> None:
    with Connection(world_with_token.service.port) as stranger:
        stranger.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, headers(b"/\xff\xfe")))
        await until(lambda: b"grpc-status" in stranger.received)
    await ada(world_with_token).jobs.ListJobs(jobs.ListJobsRequest())
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await world_with_token.channel.unary_unary("/askback.v1.JobService/Nothing")(b"")
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_flood_of_resets_does_not_harm_other_connections(world_with_token: ServiceWorld) -> None:
    victim, codes = ada(world_with_token), Counter[str]()
    await victim.jobs.ListJobs(jobs.ListJobsRequest())
    connections = [Connection(world_with_token.service.port) for _ in range(2)]
    floods = [
        asyncio.create_task(asyncio.to_thread(c.reset_flood, b"/askback.v1.JobService/ListJobs", 1.5))
        for c in connections
    ]
    try:
        while not all(f.done() for f in floods):
            try:
                await victim.jobs.ListJobs(jobs.ListJobsRequest())
                codes["OK"] += 1
            except grpc.aio.AioRpcError as error:
                codes[error.code().name] += 1
        assert sum(f.result() for f in floods) > 500
        assert set(codes) == {"OK"}, codes
    finally:
        for connection in connections:
            connection.close()


async def test_an_unauthenticated_call_is_refused_before_its_message_is_read(
    world_with_token: ServiceWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """The call is refused although its message is never sent, large or invalid."""
    for method in METHODS:
        path = f"/{method.containing_service.full_name}/{method.name}".encode()
        with Connection(world_with_token.service.port) as stranger:
            stranger.send(frame(HEADERS, END_HEADERS, 1, headers(path, (b"grpc-encoding", b"gzip"))))
            await until(lambda at=stranger: REFUSED in at.received)
    with Connection(world_with_token.service.port) as stranger:
        bomb = message(gzip.compress(b"\0" * 10_000_000), compressed=True)
        stranger.send(
            frame(HEADERS, END_HEADERS, 1, headers(path, (b"grpc-encoding", b"gzip"))),
            frame(DATA, END_STREAM, 1, bomb),
        )
        await until(lambda: REFUSED in stranger.received)
    assert not [r for r in caplog.records if r.exc_info or r.levelno >= logging.ERROR]


@pytest.mark.parametrize("token", ["ada-token", "wrong", ""])
async def test_bytes_that_are_no_message_are_refused(
    world_with_token: ServiceWorld, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    services = [*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"]]
    services.append(reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"])
    for method in (m for service in services for m in service.methods):
        for data in GARBAGE.values():
            if _parses(method, data):
                continue
            path = f"/{method.containing_service.full_name}/{method.name}"
            # Raw frames, because a client library that is refused while it writes may report its own error.
            authorized = [(b"authorization", b"Bearer " + token.encode())] if token else []
            with Connection(world_with_token.service.port) as caller:
                caller.send(
                    frame(HEADERS, END_HEADERS, 1, headers(path.encode(), *authorized)),
                    frame(DATA, END_STREAM, 1, message(data)),
                )
                open_to_all = not path.startswith("/askback")
                malformed = open_to_all or token == "ada-token"
                wanted = b"grpc-status\x013" if malformed else REFUSED
                await until(lambda at=caller: b"grpc-status" in at.received)
                assert wanted in caller.received, (path, data[:20], caller.received[-200:])
                assert (b"grpc-status-details-bin") in caller.received
    assert not [r for r in caplog.records if r.exc_info or r.levelno >= logging.ERROR]


def _parses(method: Any, data: bytes) -> bool:
    try:
        message_factory.GetMessageClass(method.input_type).FromString(data)
    except Exception:
        return False
    return True


async def test_health_and_reflection_streams_are_bounded(world_with_token: ServiceWorld) -> None:
    limits, stub = Limits(), health_pb2_grpc.HealthStub(world_with_token.channel)
    counts = world_with_token.service._server.calls.streams  # type: ignore[union-attr]
    watches = [stub.Watch(health_pb2.HealthCheckRequest(service=f"x{n}")) for n in range(64)]
    for call in watches:
        assert (await call.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    one_more = stub.Watch(health_pb2.HealthCheckRequest())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await one_more.read()
    found = refusal_of(refused.value)
    assert (found.code.name, found.metadata["limit"]) == ("RESOURCE_EXHAUSTED", "health_streams")
    assert found.retry_delay
    # Another connection is not affected.
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{world_with_token.service.port}", options=[("grpc.use_local_subchannel_pool", 1)]
    ) as other:
        first = health_pb2_grpc.HealthStub(other).Watch(health_pb2.HealthCheckRequest())
        second = health_pb2_grpc.HealthStub(other).Watch(health_pb2.HealthCheckRequest())
        assert (
            (await first.read()).status
            == (await second.read()).status
            == health_pb2.HealthCheckResponse.SERVING
        )
        # Other watchers of the same name still receive changes after one has left.
        first.cancel()
        await until(lambda: counts.by_method["/grpc.health.v1.Health/Watch"] == 65)
        await world_with_token.service._server.set_ready(False)  # type: ignore[union-attr]
        assert (await second.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    reflect = reflection_pb2_grpc.ServerReflectionStub(world_with_token.channel).ServerReflectionInfo
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    open_ones = [reflect() for _ in range(limits.reflection_streams_per_connection)]
    for call in open_ones:
        await call.write(ask)
        assert (await call.read()).list_services_response.service
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reflect().read()
    assert refusal_of(refused.value).metadata["limit"] == "reflection_streams"
    for call in (*watches, *open_ones):
        call.cancel()
    await until(lambda: not +counts.by_method)


async def test_log_lines_about_strangers_are_limited(
    world_with_token: ServiceWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="askback.server.calls")
    calls = world_with_token.service._server.calls  # type: ignore[union-attr]
    stranger = world_with_token.with_token("guessed").jobs
    await asyncio.gather(
        *(stranger.ListJobs(jobs.ListJobsRequest()) for _ in range(80)), return_exceptions=True
    )
    assert calls.ended["/askback.v1.JobService/ListJobs", "UNAUTHENTICATED"] == 80
    lines = [r for r in caplog.records if r.name == "askback.server.calls"]
    assert 0 < len(lines) < 80
