"""A TCP relay between clients and a server: its target can change, and replies can be dropped."""

from __future__ import annotations

import asyncio
import contextlib


class Relay:
    """Forwards TCP connections on loopback to the port `target`; 0 refuses them.

    `drops_replies` drops all data from the server. `drop_after` sets it when a client sends these bytes.
    """

    def __init__(self) -> None:
        self.target = 0
        self.drops_replies = False
        self.drop_after = b""
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen for connections."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Abort all connections, and stop dropping replies."""
        self.drops_replies, self.drop_after = False, b""
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        """Stop listening and abort all connections."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(to_near)
        try:
            far, to_far = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            to_near.transport.abort()
            return
        self._writers.add(to_far)
        try:
            # The end of one side ends both.
            sides = [
                asyncio.create_task(self._forward(near, to_far, back=False)),
                asyncio.create_task(self._forward(far, to_near, back=True)),
            ]
            await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
        finally:
            for writer in (to_near, to_far):
                writer.transport.abort()
                self._writers.discard(writer)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if back and self.drops_replies:
                    continue
                if not back and self.drop_after and self.drop_after in data:
                    self.drops_replies = True
                sink.write(data)
                await sink.drain()
