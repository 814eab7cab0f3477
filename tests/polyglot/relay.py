"""A wire between a client and a server: its far end can be moved, and what comes back can be lost."""

from __future__ import annotations

import asyncio
import contextlib


class Relay:
    """Forwards TCP connections on loopback to `target`, a port; 0 refuses them.

    `deaf`: clients get nothing more of what servers say; from the moment on at which a client says
    `deaf_at`, if that is set.
    """

    def __init__(self) -> None:
        self.target = 0
        self.deaf = False
        self.deaf_at = b""
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break every connection; what comes next is heard again."""
        self.deaf, self.deaf_at = False, b""
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        """End."""
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
            # Whichever side ends first ends both.
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
                if back and self.deaf:
                    continue
                if not back and self.deaf_at and self.deaf_at in data:
                    self.deaf = True
                sink.write(data)
                await sink.drain()
