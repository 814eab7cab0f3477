"""A TCP relay on loopback, whose open connections can go silent as on a machine that slept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress


class Wire:
    """Forwards connections to a port on loopback; `serve` it.

    `swallow()` silences the connections that are open: what is sent on them vanishes, and neither side is
    told. New ones work. `delay` is the seconds until a new connection is forwarded.
    """

    def __init__(self, to_port: int, delay: float = 0.0) -> None:
        self.to_port = to_port
        self._delay = delay
        self.port = 0
        self.accepted = 0
        """Connections that were forwarded so far."""
        self.swallowed = 0
        """Bytes that vanished."""
        self._requests = self._replies = 0
        """How often each direction was silenced."""
        self._tasks: set[asyncio.Task[None]] = set()

    def swallow(self) -> None:
        """Silence the open connections until the end."""
        self._requests += 1
        self._replies += 1

    def swallow_replies(self) -> None:
        """Silence them in the direction to the client only."""
        self._replies += 1

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Wire]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        writers = [to_near]
        try:
            await asyncio.sleep(self._delay)
            far, to_far = await asyncio.open_connection("127.0.0.1", self.to_port)
            writers.append(to_far)
            self.accepted += 1
            requests, replies = self._requests, self._replies
            sides = [
                asyncio.create_task(self._forward(near, to_far, lambda: self._requests > requests)),
                asyncio.create_task(self._forward(far, to_near, lambda: self._replies > replies)),
            ]
            try:
                await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for side in sides:
                    side.cancel()
        except (OSError, asyncio.CancelledError):
            pass  # the test or the gateway ended; Python 3.11 would log a cancelled handler
        finally:
            for writer in writers:
                writer.transport.abort()

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, silent: Callable[[], bool]
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                if silent():
                    self.swallowed += len(data)
                else:
                    sink.write(data)
                    await sink.drain()
        if silent():
            await asyncio.get_running_loop().create_future()  # its end is not told either
        await asyncio.sleep(0.05)  # let the other direction finish before the connection is aborted
