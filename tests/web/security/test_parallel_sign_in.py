"""Guesses at a sign-in that are made at the same time, while the service still checks the first of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2  # type: ignore[import-untyped]

from askback.v1 import access_service_pb2 as pb
from askback.web.rate_limits import FAILED_SIGN_INS, SIGN_INS_AT_ONCE
from tests.support.browsers import Browser
from tests.support.refusals import SOON
from tests.support.waiting import until
from tests.support.web import WebWorld, gateway_for


class SlowAccess:
    """An AccessService that checks each token only when it is told to. `right` is the one that it knows."""

    def __init__(self) -> None:
        self.checking = 0
        self.asked = 0
        self.go_on = asyncio.Event()

    async def whoami(self, _: Any, context: grpc.aio.ServicerContext[Any, Any]) -> pb.WhoAmIResponse:
        token = dict(context.invocation_metadata() or ()).get("authorization")
        if token is not None:
            self.asked += 1
            self.checking += 1
            await self.go_on.wait()
            self.checking -= 1
        if token != "Bearer right":
            code = grpc.StatusCode.UNAUTHENTICATED
            status = status_pb2.Status(code=code.value[0], message="no such token")
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            await context.abort(code, "no such token")
        return pb.WhoAmIResponse(subject="ana", authentication=pb.AUTHENTICATION_TOKEN)


@asynccontextmanager
async def gateway_of(access: SlowAccess) -> AsyncIterator[WebWorld]:
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        access.whoami,
        request_deserializer=pb.WhoAmIRequest.FromString,
        response_serializer=pb.WhoAmIResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler("askback.v1.AccessService", {"WhoAmI": method})
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with gateway_for(f"127.0.0.1:{port}", names=False) as web:
            yield web
    finally:
        access.go_on.set()
        await server.stop(None)


class Guesses:
    """Attempts to sign in, each on a connection of its own, all open at the same time."""

    def __init__(self, web: WebWorld) -> None:
        self._web = web
        self._running: list[asyncio.Task[tuple[int, dict[str, str]]]] = []

    def make(self, number: int, token: str = "wrong", *, each_from: str = "") -> None:
        """Start attempts. `each_from` begins the addresses that a proxy names, one for each."""
        for n in range(number):
            forwarded = {"x-forwarded-for": f"{each_from}{n}"} if each_from else {}
            self._running.append(asyncio.create_task(self._send(token, forwarded)))

    async def _send(self, token: str, more: dict[str, str]) -> tuple[int, dict[str, str]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._web.port)
        headers, body = Browser(self._web).headers, f'{{"token": "{token}"}}'
        headers |= {"host": f"127.0.0.1:{self._web.port}", "content-length": str(len(body)), **more}
        lines = ["POST /session HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write(("\r\n".join(lines) + f"\r\n\r\n{body}").encode())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        finally:
            writer.transport.abort()
        status, *lines = head.strip().splitlines()
        return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines)

    def answered(self) -> Counter[int]:
        """The statuses so far."""
        return Counter(task.result()[0] for task in self._running if task.done())

    def waits(self) -> list[int]:
        """What the refusals say about when to try again, in seconds."""
        found = [task.result() for task in self._running if task.done()]
        return [int(headers["retry-after"]) for status, headers in found if status == 429]

    async def finish(self) -> Counter[int]:
        """Wait for every attempt. Returns the statuses."""
        async with asyncio.timeout(SOON):
            await asyncio.gather(*self._running)
        return self.answered()


@pytest.fixture
async def access() -> SlowAccess:
    return SlowAccess()


@pytest.fixture
async def web(access: SlowAccess) -> AsyncIterator[WebWorld]:
    async with gateway_of(access) as running:
        yield running


async def test_a_hundred_guesses_at_once_are_not_a_hundred_checks(web: WebWorld, access: SlowAccess) -> None:
    """Those beyond the limit of their address are refused at once, while the others are being checked, and
    say when to try again; the right token is refused as the wrong ones are."""
    burst = FAILED_SIGN_INS.burst
    guesses = Guesses(web)
    guesses.make(burst)
    await until(lambda: access.checking == burst)
    guesses.make(89)
    guesses.make(1, "right")
    await until(lambda: guesses.answered() == {429: 90})
    assert min(guesses.waits()) >= 1
    assert access.asked == burst
    access.go_on.set()
    assert await guesses.finish() == {401: burst, 429: 90}


async def test_an_accepted_sign_in_makes_room_for_the_next(web: WebWorld, access: SlowAccess) -> None:
    burst = FAILED_SIGN_INS.burst
    guesses = Guesses(web)
    guesses.make(burst, "right")
    await until(lambda: access.checking == burst)
    guesses.make(1, "right")
    await until(lambda: guesses.answered() == {429: 1})
    access.go_on.set()
    await until(lambda: guesses.answered() == {200: burst, 429: 1})
    guesses.make(burst, "right")
    assert (await guesses.finish())[200] == 2 * burst


async def test_guesses_from_many_addresses_are_limited_in_all(web: WebWorld, access: SlowAccess) -> None:
    guesses = Guesses(web)
    guesses.make(SIGN_INS_AT_ONCE, each_from="10.0.0.")
    await until(lambda: access.checking == SIGN_INS_AT_ONCE)
    guesses.make(20, each_from="10.0.1.")
    await until(lambda: guesses.answered() == {429: 20})
    assert set(guesses.waits()) == {1}
    access.go_on.set()
    await until(lambda: guesses.answered() == {401: SIGN_INS_AT_ONCE, 429: 20})
    guesses.make(1, "right", each_from="10.0.1.")
    assert (await guesses.finish())[200] == 1
