"""A relay between a PostgreSQL client and its server that imitates a pooler or a broken network."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

NOTIFICATION = b"A"


class PgRelay:
    """Forwards connections to a server.

    `drops_notifications` is like a pooler in transaction mode; `freeze()` stops all traffic without
    closing a connection, like a cut network; `forget()` does so for the connections that are open, like a
    firewall that has lost its state.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self.drops_notifications = False
        self._thaw = asyncio.Event()
        self._thaw.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.opened = 0

    def lead_to(self, url: str) -> None:
        """Forward new connections to the server of another URL; open connections are not affected."""
        self._url = urlsplit(url)

    def freeze(self) -> None:
        """Stop all traffic."""
        self._thaw.clear()

    def thaw(self) -> None:
        """Let traffic pass again."""
        self._thaw.set()

    def forget(self) -> None:
        """Stop the traffic of the open connections, and never start it again. New ones work."""
        self._thaw.clear()
        self._thaw = asyncio.Event()
        self._thaw.set()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Listen; yields the URL of the database through the relay."""
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            user, _, _ = self._url.netloc.rpartition("@")
            yield self._url._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.opened += 1
        upstream, thaw = None, self._thaw
        try:
            back, upstream = await asyncio.open_connection(self._url.hostname, self._url.port)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._up(reader, upstream, thaw))
                both.create_task(self._down(back, writer, thaw))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, upstream):
                if end is not None:
                    end.close()

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, thaw: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            await thaw.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, thaw: asyncio.Event
    ) -> None:
        # The first reply may be the single byte that answers a TLS request.
        first = await reader.readexactly(1)
        if first in (b"N", b"S"):
            writer.write(first)
            first = b""
        while True:
            kind = first or await reader.readexactly(1)
            first = b""
            length = await reader.readexactly(4)
            body = await reader.readexactly(struct.unpack("!I", length)[0] - 4)
            await thaw.wait()
            if kind == NOTIFICATION and self.drops_notifications:
                continue
            writer.write(kind + length + body)
            with suppress(ConnectionError):
                await writer.drain()
