"""Errors of the network: only a status with our ErrorInfo counts as an error of the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from askback import Client, errors
from askback._wire.retries import Retries
from askback._wire.status import from_rpc, is_fatal, is_transient
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from tests.support.fake_server import FakeServer, FakeStream
from tests.support.statuses import with_reason
from tests.support.waiting import until

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
PASSING = [c for c in CODES if c not in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.DEADLINE_EXCEEDED)]


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[Client]:
    async with Client(server.target, user="ana", deadline=5) as client:
        yield client


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without their pauses."""
    monkeypatch.setattr("askback._wire.backoff.Backoff.next", lambda self, at_least=0.0: min(at_least, 0.01))


def rpc_error(code: grpc.StatusCode, details: str = "", *infos: Any) -> grpc.aio.AioRpcError:
    """The exception of a call with this status."""
    status = status_pb2.Status(code=code.value[0], message=details)
    for info in infos:
        packed = AnyMessage()
        packed.Pack(info)
        status.details.append(packed)
    trailers = (("grpc-status-details-bin", status.SerializeToString()),) if infos else ()
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details, None)


def refuse(stream: FakeStream) -> None:
    """End a stream with a final refusal, so that leaving the client does not wait."""
    code = grpc.StatusCode.UNAUTHENTICATED
    stream.end(*with_reason(code, "ERROR_REASON_UNAUTHENTICATED", stream.context))


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_only_a_status_with_our_error_info_counts_as_the_servers(code: grpc.StatusCode) -> None:
    ours = error_details_pb2.ErrorInfo(reason="ERROR_REASON_JOB_NOT_FOUND", domain="askback.dev")
    theirs = error_details_pb2.ErrorInfo(reason="ERROR_REASON_JOB_NOT_FOUND", domain="mesh.example")
    assert from_rpc(rpc_error(code, "no", ours)).from_server
    for foreign in (rpc_error(code, "no"), rpc_error(code, "no", theirs)):
        error = from_rpc(foreign)
        assert not error.from_server
        assert not is_fatal(error), "the network says nothing about the request"
        assert is_transient(error)
        if code not in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.DEADLINE_EXCEEDED):
            assert type(error) is errors.Unavailable
            assert error.metadata == {"grpc_code": code.name}


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("RESOURCE_EXHAUSTED", "Received message larger than max (5000000 vs. 4194304)"),
        ("RESOURCE_EXHAUSTED", "CLIENT: Sent message larger than max (5000000 vs. 4194304)"),
        ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5 vs. 4)"),
        ("RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4194304: 5000000"),
        ("UNKNOWN", "Received http2 header with status: 413"),
    ],
)
def test_a_message_over_the_limit_is_final(code: str, details: str) -> None:
    error = from_rpc(rpc_error(grpc.StatusCode[code], details))
    assert isinstance(error, errors.MessageTooLarge)
    assert is_fatal(error)
    assert not is_transient(error)


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (
            "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to connect "
            "to remote host: Connection refused",
            "nothing listens there",
        ),
        (
            "failed to connect to all addresses; last error: UNAVAILABLE: ipv4:127.0.0.1:1: "
            "recvmsg:Connection reset by peer (104)",
            "was cut",
        ),
        ("Stream removed (Socket closed)", "was cut"),
        (
            "connections to all backends failing; last error: ipv4:127.0.0.1:1: health check call failed; "
            "will retry after backoff",
            "is not ready",
        ),
        ("DNS resolution failed for db.invalid: UNAVAILABLE: Domain name not found", "cannot be resolved"),
        ("Ssl handshake failed: SSL_ERROR_SSL: SSL routines::CERTIFICATE_VERIFY_FAILED", "TLS"),
        ("Failed to connect to remote host: No route to host", "no way to it"),
        ("FD Shutdown: connection attempt timed out before receiving SETTINGS frame", "does not answer"),
    ],
)
def test_a_broken_connection_is_reported_in_our_words(details: str, words: str) -> None:
    """The log of an outage uses this text, long after the first connection was diagnosed."""
    message = from_rpc(rpc_error(grpc.StatusCode.UNAVAILABLE, details)).message
    assert words in message
    assert not any(raw in message for raw in ("UNKNOWN", "ipv4", "backends", "recvmsg", "SSL_ERROR", "FD"))


@pytest.mark.parametrize("code", PASSING, ids=lambda code: code.name)
async def test_a_call_is_retried_within_its_deadline(
    server: FakeServer, client: Client, code: grpc.StatusCode
) -> None:
    tries: list[int] = []

    async def get(request: Any, context: Any) -> Any:
        tries.append(1)
        if len(tries) < 9:
            await context.abort(code, "no such backend")
        return jobs.GetJobResponse(job=job_pb2.Job(job_id="j"))

    server.unary["GetJob"] = get
    assert (await client.get("j")).job_id == "j"
    assert len(tries) >= 9  # grpc itself retries UNAVAILABLE


async def test_an_unknown_method_ends_after_three_tries(server: FakeServer, client: Client) -> None:
    tries: list[int] = []

    async def get(request: Any, context: Any) -> Any:
        tries.append(1)
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")

    server.unary["GetJob"] = get
    with pytest.raises(errors.Unimplemented, match=r"does not know JobService\.GetJob; is it older, or not"):
        await client.get("j")
    assert len(tries) == 3


async def test_a_call_succeeds_after_two_unknown_method_errors(server: FakeServer, client: Client) -> None:
    """One of two replicas behind a load balancer has an older version."""
    tries: list[int] = []

    async def get(request: Any, context: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        return jobs.GetJobResponse(job=job_pb2.Job(job_id="j"))

    server.unary["GetJob"] = get
    assert (await client.get("j")).job_id == "j"


def test_an_http_404_does_not_count_as_an_unknown_method() -> None:
    retries = Retries("JobService.GetJob", is_fatal)
    error = from_rpc(rpc_error(grpc.StatusCode.UNIMPLEMENTED, "Received http2 header with status: 404"))
    for _ in range(50):
        retries.pause(error)
    assert "HTTP 404" in error.message


def test_unimplemented_from_a_known_method_is_retried_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    retries = Retries("WorkerService.Work", is_fatal)
    retries.reset()
    unknown = from_rpc(rpc_error(grpc.StatusCode.UNIMPLEMENTED))
    assert retries.pause(unknown) + retries.pause(unknown) >= 5
    with pytest.raises(errors.Unimplemented, match=r"WorkerService\.Work"):
        retries.pause(unknown)


async def test_the_error_of_an_unrepeatable_call_says_that_its_outcome_is_unknown(
    server: FakeServer, client: Client
) -> None:
    async def delete(request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.INTERNAL, "stream removed")

    server.unary["DeleteJob"] = delete
    with pytest.raises(errors.Unavailable, match=r"JobService\.DeleteJob was carried out is not known"):
        await client.delete("j")


async def test_our_own_deadline_has_its_own_message(server: FakeServer) -> None:
    async def get(request: Any, context: Any) -> Any:
        await asyncio.sleep(30)

    server.unary["GetJob"] = get
    async with Client(server.target, deadline=0.3) as client:
        with pytest.raises(errors.DeadlineExceeded, match=r"no answer from 127\.0\.0\.1:\d+ within 0\.3 s"):
            await client.get("j")


async def test_our_own_cancel_is_not_reported_as_a_network_error(server: FakeServer, client: Client) -> None:
    tries: list[int] = []
    called = asyncio.Event()

    async def get(request: Any, context: Any) -> Any:
        tries.append(1)
        called.set()
        await asyncio.sleep(30)

    server.unary["GetJob"] = get
    asking = asyncio.create_task(client.get("j"))
    await called.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(tries) == 1


async def test_result_survives_any_number_of_disconnects(
    server: FakeServer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Each status code three times, with a clean end in between. The log has one line for each outage."""
    cuts = [*PASSING, None] * 3
    done = asyncio.Event()

    async def get(request: Any, context: Any) -> Any:
        state = job_pb2.JOB_STATE_COMPLETED if done.is_set() else job_pb2.JOB_STATE_RUNNING
        return jobs.GetJobResponse(job=job_pb2.Job(job_id="j", state=state, version=1, result_json="7"))

    async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
        if not cuts:
            done.set()
            event = job_pb2.JobEvent(
                job_id="j",
                seq=2,
                type=job_pb2.JOB_EVENT_TYPE_JOB_COMPLETED,
                state=job_pb2.JOB_STATE_COMPLETED,
            )
            yield jobs.WatchJobResponse(events=[event])
            return
        if (code := cuts.pop(0)) is not None:
            await context.abort(code, "upstream idle")

    server.unary["GetJob"], server.streams["WatchJob"] = get, watch
    with caplog.at_level(logging.INFO, "askback.stream"):
        assert await client.run("j").result() == 7
    said = [r for r in caplog.records if r.levelno == logging.WARNING and "trying again" in r.getMessage()]
    assert len(said) == 3, [r.getMessage() for r in said]


async def test_a_watch_ends_when_the_server_refuses_it(server: FakeServer, client: Client) -> None:
    async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
        code = grpc.StatusCode.PERMISSION_DENIED
        await context.abort(*with_reason(code, "ERROR_REASON_PERMISSION_DENIED", context))
        yield

    server.streams["WatchJob"] = watch
    with pytest.raises(errors.PermissionDenied):
        [event async for event in client.run("j").watch()]


async def test_a_watch_skips_empty_frames(server: FakeServer, client: Client) -> None:
    async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
        yield jobs.WatchJobResponse()
        event = job_pb2.JobEvent(job_id="j", seq=1, type=job_pb2.JOB_EVENT_TYPE_JOB_COMPLETED)
        yield jobs.WatchJobResponse(events=[event])

    server.streams["WatchJob"] = watch
    assert [event.seq async for event in client.run("j").watch()] == [1]


@pytest.mark.parametrize("code", PASSING, ids=lambda code: code.name)
async def test_a_console_reconnects_after_any_status_code(
    server: FakeServer, client: Client, code: grpc.StatusCode
) -> None:
    accepting = asyncio.create_task(server.welcome_console())
    async with client.console() as console:
        stream = await accepting
        for _ in range(4):
            stream.end(code, "Received http2 header with status: 403")
            stream = await server.welcome_console()
        await until(lambda: console.connected)
        refuse(stream)


async def test_a_frame_that_is_too_large_is_refused_alone(server: FakeServer, client: Client) -> None:
    """If it were sent, it would end every stream on which it is resent."""

    accepting = asyncio.create_task(server.welcome_console())
    async with client.console() as console:
        stream = await accepting
        async with asyncio.timeout(5):
            with pytest.raises(errors.MessageTooLarge, match="at most 4193280"):
                await console.request(get_prompt={"prompt_id": "x" * 4_200_000})
        assert console.connected
        refuse(stream)
