"""Checks a server: its connection, health, contract and clock, and the caller's identity."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from askback._model.identity import Identity
from askback._text.spans import Times, span_words
from askback._text.text import one_line
from askback._wire.address import parse_address
from askback._wire.channel import Endpoint
from askback._wire.contact import COMMAND_CONNECT_SECONDS, connect
from askback._wire.status import from_rpc
from askback._wire.stream_writes import StreamEnded, write
from askback.cli.checkup import Finding, fail, ok, warn
from askback.cli.checkup.contract import SERVICES, client_contract, server_contract
from askback.cli.checkup.rules import check_rules
from askback.cli.connection import Connection
from askback.cli.identity_words import identity_sentence
from askback.errors import AskbackError, CannotConnect, Unauthenticated, Unimplemented
from askback.v1 import access_service_pb2 as access
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1.access_service_pb2_grpc import AccessServiceStub
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub

_NO_JOB = "00000000-0000-7000-8000-000000000000"
"""A valid job id that no job has: a view of its prompts is empty."""
_WARN_BEFORE = timedelta(days=7)
_SERVING = b"\x08\x01"
MAX_SKEW_SECONDS = 2.0
"""The difference between two clocks, in seconds, that is harmless."""


async def check_server(connection: Connection) -> AsyncIterator[Finding]:
    """Check the server of the connection. Stops early if further checks are impossible."""
    endpoint = connection.endpoint()
    name = f"{endpoint.target}{' (TLS)' if endpoint.tls else ''}"
    async with endpoint.open(only_healthy=False) as channel:
        problem = await _check_connection(channel, endpoint, connection.timeout)
        if problem is not None:
            yield problem
            return
        yield ok("server", f"{name} answers")
        if endpoint.token and not endpoint.tls and not parse_address(endpoint.target).is_loopback:
            yield warn("token", "it travels in the clear", "serve TLS and use --tls")
        yield await _check_health(channel, connection.timeout)
        yield await _check_contract(channel, connection.timeout)
        async for finding in _check_identity(channel, endpoint, connection):
            yield finding


async def _check_connection(channel: grpc.aio.Channel, endpoint: Endpoint, timeout: float) -> Finding | None:
    """The problem with the connection to the server; None if there is none."""
    try:
        await connect(channel, endpoint, contact_timeout=min(COMMAND_CONNECT_SECONDS, timeout))
    except CannotConnect as problem:
        message, _, todo = problem.message.rpartition(": ")
        return fail("server", message, todo)
    return None


async def _check_health(channel: grpc.aio.Channel, timeout: float) -> Finding:
    """Check the health of the server and of each of its services."""
    check: Any = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
    serving: list[str] = []
    not_serving: list[str] = []
    for name in ("", *(service.full_name for service in SERVICES)):
        asked = name.encode()
        try:
            answer = await check(bytes([10, len(asked)]) + asked if asked else b"", timeout=timeout)
        except grpc.RpcError as error:
            if name and _code(error) == "NOT_FOUND":
                continue  # the server is older; the check of the contract says so
            return fail("health", f"{name or 'server'}: {_code(error)}", "look into the server's log")
        (serving if answer == _SERVING else not_serving).append(name or "server")
    if not_serving:
        return fail(
            "health",
            f"not serving: {', '.join(not_serving)}",
            "it is starting or draining; look into its log",
        )
    return ok("health", f"serving: {', '.join(name.rpartition('.')[2] for name in serving[1:])}")


async def _check_contract(channel: grpc.aio.Channel, timeout: float) -> Finding:
    """Compare the contracts of client and server."""
    try:
        theirs = await server_contract(channel, timeout)
    except grpc.RpcError as error:
        return warn(
            "contract",
            f"cannot be compared: {_code(error)}",
            "the server has no reflection; compare versions",
        )
    known, ours = set().union(*theirs.values()), set().union(*client_contract().values())
    if lacks := sorted(ours - known):
        return warn(
            "contract",
            f"the server lacks {_abbreviate(lacks)}",
            "the server is older than this client: update it",
        )
    if more := sorted(known - ours):
        return warn("contract", f"this client lacks {_abbreviate(more)}", "pip install --upgrade askback")
    return ok("contract", f"client and server agree ({len(ours)} methods and fields)")


async def _check_identity(
    channel: grpc.aio.Channel, endpoint: Endpoint, connection: Connection
) -> AsyncIterator[Finding]:
    """Check the caller's identity and permissions, and the server's clock."""
    timeout, metadata, namespace = connection.timeout, endpoint.metadata(), connection.namespace
    before = datetime.now(UTC)
    try:
        reply = await AccessServiceStub(channel).WhoAmI(
            access.WhoAmIRequest(), timeout=timeout, metadata=metadata
        )
    except grpc.aio.AioRpcError as rpc:
        yield _unknown_identity(from_rpc(rpc), endpoint)
        return
    identity, now = Identity.from_proto(reply), datetime.now(UTC)
    summary = identity_sentence(identity, Times(identity.server_time or now))
    left = identity.expires - (identity.server_time or now) if identity.expires is not None else None
    if not identity.may_use(namespace):
        yield fail("identity", f"{summary}; not {one_line(namespace)}", "name one of yours with --namespace")
        return
    if left is not None and left < _WARN_BEFORE:
        yield warn("identity", summary, "ask for a new token: `askback token add` makes one")
    else:
        yield ok("identity", summary)
    if identity.has("policy"):
        yield await check_rules(channel, endpoint, connection)
    if identity.has("console"):
        yield await _check_clock(HitlServiceStub(channel), namespace, metadata, timeout)
    elif identity.server_time is not None:
        yield _clock_finding("the server", identity.server_time, before, now)


def _unknown_identity(error: AskbackError, endpoint: Endpoint) -> Finding:
    """The finding for a server that did not report the caller's identity."""
    if isinstance(error, Unauthenticated):
        known = "look at ASKBACK_TOKEN or the profile" if endpoint.token else ""
        return fail("identity", error.message, known or "set ASKBACK_TOKEN, or use --profile")
    if isinstance(error, Unimplemented):
        return fail("identity", "the server has no AccessService", "it is older than this client: update it")
    return fail("identity", error.message, "look into the server's log")


async def _check_clock(stub: Any, namespace: str, metadata: Any, timeout: float) -> Finding:
    """Compare the clocks: the id of a console's session is a UUIDv7, which contains the server's time."""
    hello = hitl.ConverseHello(namespace=namespace, filter=hitl.PromptFilter(job_id=_NO_JOB))
    call = stub.Converse(metadata=metadata, timeout=timeout)
    before = datetime.now(UTC)
    try:
        with suppress(StreamEnded):  # the read tells why
            await write(call, hitl.ConverseRequest(frames=[hitl.ConverseClientFrame(ref=1, hello=hello)]))
        welcome = (await call.read()).frames[0].welcome
    except grpc.RpcError as error:
        return fail(
            "clock", f"the console's stream does not open: {_code(error)}", "a proxy may break HTTP/2 streams"
        )
    finally:
        call.cancel()
    theirs = datetime.fromtimestamp((uuid.UUID(welcome.session_id).int >> 80) / 1000, UTC)
    return _clock_finding(f"replica {one_line(welcome.replica)}", theirs, before, datetime.now(UTC))


def _clock_finding(replica: str, theirs: datetime, before: datetime, after: datetime) -> Finding:
    """Compare a server's time with the local times `before` and `after` the call."""
    skew = max((theirs - after).total_seconds(), (before - theirs).total_seconds(), 0.0)
    if skew > MAX_SKEW_SECONDS:
        where = "ahead" if theirs > after else "behind"
        return warn(
            "clock",
            f"{replica} is {span_words(abs(theirs - after))} {where} of us",
            "let NTP set both clocks",
        )
    return ok("clock", f"{replica} agrees with ours within {MAX_SKEW_SECONDS:g} s")


def _code(error: grpc.RpcError) -> str:
    return str(error.code().name) if isinstance(error, grpc.aio.AioRpcError) else one_line(error)


def _abbreviate(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
