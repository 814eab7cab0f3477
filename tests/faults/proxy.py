"""A TCP proxy of our own: every connection of the scene passes one of its links, and any link can be broken.

reset       every connection ends by RST, new ones are taken
cut         the same, and new ones are refused until `heal`
stall       nothing passes until `heal`; then all of it does
half_open   what one side sends is lost; the other side hears nothing of it; `heal` resets
delay       everything takes a while longer, in order
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

_RST = struct.pack("ii", 1, 0)


def _abort(transport: asyncio.Transport | None) -> None:
    """End a connection by RST."""
    if transport is None or transport.is_closing():
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    transport.abort()


class _Half(asyncio.Protocol):
    """One side of a connection: what it receives goes to its peer."""

    def __init__(self, link: Link, peer: _Half | None = None) -> None:
        self.link = link
        self.peer = peer
        self.transport: asyncio.Transport | None = None
        self.from_client = peer is None
        self._early: list[bytes] = []
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        """What is delayed, with the times at which it is due, in order."""
        self._heard_end = False
        """It sends nothing more."""
        self._ended = False
        """Its end was passed on."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.from_client:
            self.link.accepted(self)
        elif self.peer is not None:
            if self.peer.transport is None or self.peer.transport.is_closing():
                _abort(transport)
                return
            for data in self.peer._early:
                transport.write(data)
            self.peer._early.clear()
            if self.peer._heard_end and not self.peer._waiting:
                self.peer._pass_end(transport)
            if self.link.is_stalled:
                transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        link = self.link
        if link.lost == ("client" if self.from_client else "server"):
            return
        self._in_turn(data)

    def _in_turn(self, item: bytes | None) -> None:
        """Pass it on when it is due, and never ahead of what came before it. None: the end."""
        loop = asyncio.get_running_loop()
        if not self.link.wait and not self._waiting:
            self._deliver(item)
            return
        self._waiting.append((loop.time() + self.link.wait, item))
        if len(self._waiting) == 1:
            loop.call_at(self._waiting[0][0], self._deliver_due)

    def _deliver_due(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][0] <= loop.time():
            self._deliver(self._waiting.popleft()[1])
        if self._waiting:
            loop.call_at(self._waiting[0][0], self._deliver_due)

    def _deliver(self, item: bytes | None) -> None:
        if item is not None:
            self._pass(item)
        elif self.peer is not None and self.peer.transport is not None:
            self._pass_end(self.peer.transport)

    def _pass(self, data: bytes) -> None:
        if self.peer is None or self.peer.transport is None:
            self._early.append(data)
        elif not self.peer.transport.is_closing() and not self._ended:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self._heard_end = True
        if self.link.lost != ("client" if self.from_client else "server"):
            self._in_turn(None)
        return True

    def _pass_end(self, transport: asyncio.Transport) -> None:
        self._ended = True
        if not transport.is_closing():
            with contextlib.suppress(OSError):
                transport.write_eof()
        if self.peer is not None and self.peer._ended:
            # Both ways have ended. asyncio reads neither socket any more and would keep both for good.
            self.close()
            self.peer.close()

    def close(self) -> None:
        """End it in order."""
        if self.transport is not None:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.link.connections.discard(self)
        if self.peer is not None and self.peer.transport is not None and not self.link.lost:
            if error is None:
                asyncio.get_running_loop().call_later(self.link.wait, self.peer.transport.close)
            else:
                _abort(self.peer.transport)

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.link.is_stalled:
            self.peer.transport.resume_reading()


class Link:
    """The way from one party to another: a port to connect to, and where it leads."""

    def __init__(self, name: str, upstream: Callable[[], int]) -> None:
        self.name = name
        self._upstream = upstream
        """The port that it leads to, asked for each connection: a promoted standby takes over."""
        self.port = 0
        self.connections: set[_Half] = set()
        self._server: asyncio.Server | None = None
        self._dialling: set[asyncio.Task[None]] = set()
        self.wait = 0.0
        self.lost = ""
        """Whose bytes are lost: `client`, `server`, or nobody's."""
        self.is_stalled = False
        self.is_cut = False

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong with it now; a delay does not count."""
        return not (self.is_cut or self.is_stalled or self.lost)

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Half(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and end everything."""
        if self._server is not None:
            self._server.close()
        for task in self._dialling:
            task.cancel()
        self.reset()

    def accepted(self, half: _Half) -> None:
        """A client has connected: dial for it."""
        if self.is_cut:
            _abort(half.transport)
            return
        self.connections.add(half)
        if self.is_stalled and half.transport is not None:
            half.transport.pause_reading()
        task = asyncio.create_task(self._dial(half))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, half: _Half) -> None:
        loop: Any = asyncio.get_running_loop()
        other = _Half(self, half)
        half.peer = other
        try:
            await loop.create_connection(lambda: other, "127.0.0.1", self._upstream())
        except OSError:
            _abort(half.transport)
        else:
            self.connections.add(other)
            if half.transport is None or half.transport.is_closing():
                _abort(other.transport)

    def reset(self) -> None:
        """End every connection by RST."""
        for half in tuple(self.connections):
            _abort(half.transport)

    def cut(self) -> None:
        """End every connection and take no new one."""
        self.is_cut = True
        self.reset()

    def stall(self) -> None:
        """Nothing passes; nothing is lost."""
        self.is_stalled = True
        for half in self.connections:
            if half.transport is not None and not half.transport.is_closing():
                half.transport.pause_reading()

    def half_open(self, side: str) -> None:
        """What `side` sends from now on is lost, and nobody is told."""
        self.lost = side

    def delay(self, seconds: float) -> None:
        """Everything takes so much longer."""
        self.wait = seconds

    def heal(self) -> None:
        """All is well again. What has lost bytes is reset."""
        if self.lost:
            self.lost = ""
            self.reset()
        if self.is_stalled:
            self.is_stalled = False
            for half in self.connections:
                if half.transport is not None and not half.transport.is_closing():
                    half.transport.resume_reading()
        self.is_cut, self.wait = False, 0.0
