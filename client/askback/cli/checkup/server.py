"""A server: reachable, ready, of our contract, and what it lets us do."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc

from askback.channel import Endpoint
from askback.cli.checkup import Finding, fail, ok, warn
from askback.cli.checkup.reflected import SERVICES, contract_of, our_contract
from askback.cli.connection import Connection
from askback.contact import HASTE, connect
from askback.errors import AskbackError, CannotConnect, PermissionDenied, Unauthenticated
from askback.spans import span_words
from askback.status import from_rpc
from askback.text import one_line
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub
from askback.v1.job_service_pb2_grpc import JobServiceStub
from askback.v1.worker_service_pb2_grpc import WorkerServiceStub

_NOBODY = "00000000-0000-7000-8000-000000000000"
"""Spelt like an id, and nobody's: a call that names it changes nothing."""
_SERVING = b"\x08\x01"
SKEW = 2.0
"""Seconds between two clocks that hurt nobody."""


async def look_at_server(connection: Connection) -> AsyncIterator[Finding]:
    """The server of the connection. Ends early where nothing more can be seen."""
    endpoint = connection.endpoint()
    name = f"{endpoint.target}{' (TLS)' if endpoint.tls else ''}"
    async with endpoint.open(only_healthy=False) as channel:
        problem = await _reached(channel, endpoint, connection.timeout)
        if problem is not None:
            yield problem
            return
        yield ok("server", f"{name} answers")
        if endpoint.token and not endpoint.tls and not _is_here(endpoint.target):
            yield warn("token", "it travels in the clear", "serve TLS and use --tls")
        yield await _health(channel, connection.timeout)
        yield await _contract(channel, connection.timeout)
        async for finding in _identity(channel, endpoint, connection):
            yield finding


async def _reached(channel: grpc.aio.Channel, endpoint: Endpoint, timeout: float) -> Finding | None:
    """What keeps us from the server; None if nothing does."""
    try:
        await connect(channel, endpoint, patience=min(HASTE, timeout))
    except CannotConnect as problem:
        message, _, todo = problem.message.rpartition(": ")
        return fail("server", message, todo)
    return None


async def _health(channel: grpc.aio.Channel, timeout: float) -> Finding:
    """The health of the server and of each of its services."""
    check: Any = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
    ill = []
    for name in ("", *(service.full_name for service in SERVICES)):
        asked = name.encode()
        try:
            answer = await check(bytes([10, len(asked)]) + asked if asked else b"", timeout=timeout)
        except grpc.RpcError as error:
            return fail("health", f"{name or 'server'}: {_code(error)}", "look into the server's log")
        if answer != _SERVING:
            ill.append(name or "server")
    if ill:
        return fail(
            "health", f"not serving: {', '.join(ill)}", "it is starting or draining; look into its log"
        )
    return ok("health", f"serving: {', '.join(service.name for service in SERVICES)}")


async def _contract(channel: grpc.aio.Channel, timeout: float) -> Finding:
    """Whether client and server speak of the same things."""
    try:
        theirs = await contract_of(channel, timeout)
    except grpc.RpcError as error:
        return warn(
            "contract",
            f"cannot be compared: {_code(error)}",
            "the server has no reflection; compare versions",
        )
    known, ours = set().union(*theirs.values()), set().union(*our_contract().values())
    if lacks := sorted(ours - known):
        return warn(
            "contract", f"the server lacks {_some(lacks)}", "the server is older than this client: update it"
        )
    if more := sorted(known - ours):
        return warn("contract", f"this client lacks {_some(more)}", "pip install --upgrade askback")
    return ok("contract", f"client and server agree ({len(ours)} methods and fields)")


async def _identity(
    channel: grpc.aio.Channel, endpoint: Endpoint, connection: Connection
) -> AsyncIterator[Finding]:
    """Who we are there, what we may do, and whose clock is wrong."""
    timeout, metadata, namespace = connection.timeout, endpoint.metadata(), connection.namespace
    job_service, hitl_service, worker_service = (
        JobServiceStub(channel), HitlServiceStub(channel), WorkerServiceStub(channel),
    )  # fmt: skip
    probes: dict[str, tuple[Any, Any]] = {
        "client": (job_service.CancelJob, jobs.CancelJobRequest(job_id=_NOBODY)),
        "worker": (worker_service.ListCheckpoints, workers.ListCheckpointsRequest(job_id=_NOBODY)),
        "console": (
            hitl_service.ListPrompts,
            hitl.ListPromptsRequest(namespace=namespace, page_size=1),
        ),
    }
    roles = []
    for role, (method, request) in probes.items():
        error = await _refusal(method(request, timeout=timeout, metadata=metadata))
        if isinstance(error, Unauthenticated):
            todo = (
                "look at ASKBACK_TOKEN or the profile"
                if endpoint.token
                else "set ASKBACK_TOKEN, or use --profile"
            )
            yield fail("identity", error.message, todo)
            return
        if isinstance(error, PermissionDenied) and "namespace" in error.metadata.get("needs", ""):
            yield fail("identity", error.message, "name one of yours with --namespace")
            return
        if error is None or error.code == "NOT_FOUND":
            roles.append(role)
        elif not isinstance(error, PermissionDenied):
            yield fail("identity", f"{role}: {error.message}", "look into the server's log")
            return
    who = "a token" if endpoint.token else f"user {endpoint.user}" if endpoint.user else "nobody named"
    groups = f", groups {', '.join(endpoint.groups)}" if endpoint.groups and not endpoint.token else ""
    yield ok("identity", f"{one_line(who + groups)}; may act as {', '.join(roles) or 'nobody'}")
    if "console" in roles:
        yield await _clock(hitl_service, namespace, metadata, timeout)


async def _clock(stub: Any, namespace: str, metadata: Any, timeout: float) -> Finding:
    """The difference of the clocks: a session's id is a UUIDv7, which has the server's time in it."""
    hello = hitl.ConverseHello(namespace=namespace, filter=hitl.PromptFilter(job_id=_NOBODY))
    call = stub.Converse(metadata=metadata, timeout=timeout)
    before = datetime.now(UTC)
    try:
        await call.write(hitl.ConverseRequest(frames=[hitl.ConverseClientFrame(ref=1, hello=hello)]))
        welcome = (await call.read()).frames[0].welcome
    except grpc.RpcError as error:
        return fail(
            "clock", f"the console's stream does not open: {_code(error)}", "a proxy may break HTTP/2 streams"
        )
    finally:
        call.cancel()
    after = datetime.now(UTC)
    theirs = datetime.fromtimestamp((uuid.UUID(welcome.session_id).int >> 80) / 1000, UTC)
    replica = f"replica {one_line(welcome.replica)}"
    skew = max((theirs - after).total_seconds(), (before - theirs).total_seconds(), 0.0)
    if skew > SKEW:
        where = "ahead" if theirs > after else "behind"
        return warn(
            "clock",
            f"{replica} is {span_words(abs(theirs - after))} {where} of us",
            "let NTP set both clocks",
        )
    return ok("clock", f"{replica} agrees with ours within {SKEW:g} s")


async def _refusal(call: Any) -> AskbackError | None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return from_rpc(error)
    return None


def _is_here(target: str) -> bool:
    return target.startswith(("127.", "localhost:", "[::1]", "unix:"))


def _code(error: grpc.RpcError) -> str:
    return str(error.code().name) if isinstance(error, grpc.aio.AioRpcError) else one_line(error)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
