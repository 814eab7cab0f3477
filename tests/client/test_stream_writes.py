"""A write that fails as its call ends leaves the status as the server sent it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc.aio import EOF  # type: ignore[attr-defined]

from askback._wire.stream_writes import StreamEnded, write
from tests.support.refusals import SOON

CHUNK = b"x" * 65_536
CALLS = 20


@asynccontextmanager
async def serving(handler: Any) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server with the bidirectional method /test/call, whose messages are bytes."""
    server = grpc.aio.server()
    method = grpc.stream_stream_rpc_method_handler(handler)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"call": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


async def refuse(_requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such token")


async def end(_requests: Any, _context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """End the call with OK."""


async def status_of(channel: grpc.aio.Channel) -> tuple[str, str]:
    """Write to a call until it has ended. Returns its status as the reader sees it."""
    call: Any = channel.stream_stream("/test/call")()

    async def write_all() -> None:
        while True:
            await write(call, CHUNK)

    async with asyncio.timeout(SOON):
        writer = asyncio.create_task(write_all())
        try:
            status = "OK" if await call.read() is EOF else "a message", ""
        except grpc.aio.AioRpcError as error:
            status = error.code().name, error.details() or ""
        with pytest.raises(StreamEnded):
            await writer
        return status


@pytest.mark.parametrize(
    ("handler", "expected"), [(refuse, ("UNAUTHENTICATED", "no such token")), (end, ("OK", ""))]
)
async def test_a_failed_write_does_not_replace_the_status(handler: Any, expected: tuple[str, str]) -> None:
    async with serving(handler) as channel:
        found = Counter([await status_of(channel) for _ in range(CALLS)])
        assert found == {expected: CALLS}


async def echo(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]) -> None:
    async for request in requests:
        await context.write(request)


async def test_what_is_written_arrives_and_a_half_close_ends_the_call() -> None:
    async with serving(echo) as channel, asyncio.timeout(SOON):
        call: Any = channel.stream_stream("/test/call")()
        for message in (b"one", b"two"):
            await write(call, message)
            assert await call.read() == message
        await call.done_writing()
        assert await call.read() is EOF
        with pytest.raises(StreamEnded):
            await write(call, b"three")


async def never_read(_requests: Any, _context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await asyncio.Event().wait()


async def test_a_cancelled_write_cancels_the_call() -> None:
    """As in grpc.aio: half of the message may have been sent."""
    async with serving(never_read) as channel, asyncio.timeout(SOON):
        call: Any = channel.stream_stream("/test/call")()

        async def write_all() -> None:
            while True:
                await write(call, CHUNK)

        writer = asyncio.create_task(write_all())
        await call.wait_for_connection()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):  # the write that waits for room
                await writer
        assert call.cancelled()
