"""A round-robin TCP load balancer: each new connection goes to the next replica that accepts it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def balance(ports: Sequence[int]) -> AsyncIterator[str]:
    """Forward TCP connections to loopback ports in turn. Yields the shared address."""
    turn = itertools.count()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        first = next(turn)
        for place in range(len(ports)):
            with suppress(OSError):
                far, to_far = await asyncio.open_connection("127.0.0.1", ports[(first + place) % len(ports)])
                break
        else:
            to_near.transport.abort()
            return
        sides = [asyncio.create_task(_forward(near, to_far)), asyncio.create_task(_forward(far, to_near))]
        try:
            await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the test ended; Python 3.11 would log a cancelled connection handler
        finally:
            for side in sides:
                side.cancel()
            for writer in (to_near, to_far):
                writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
        await asyncio.sleep(0.05)  # let the other direction finish before the connection is aborted
