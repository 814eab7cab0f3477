"""A TCP proxy with faults: every connection of the cluster goes through a link, and any link can be broken.

reset       all connections end by RST; new ones are accepted
cut         like reset, but new connections are refused until `heal`
stall       no data passes until `heal`; none is lost
half_open   data sent by one side is lost without notice; `heal` resets the connections
delay       all data arrives later, in order
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


class _ProxySide(asyncio.Protocol):
    """One side of a proxied connection: forwards received data to its peer."""

    def __init__(self, link: Link, peer: _ProxySide | None = None) -> None:
        self.link = link
        self.peer = peer
        self.transport: asyncio.Transport | None = None
        self.from_client = peer is None
        self._early: list[bytes] = []
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        """Delayed data with its due times, in order. None stands for the end of the stream."""
        self._end_received = False
        """Whether this side has sent its end of stream."""
        self._ended = False
        """Whether that end has been forwarded."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.link.connections.add(self)  # here, so that no fault begins or ends without this side
        if self.from_client:
            self.link.accept(self)
        elif self.peer is not None:
            if self.peer.transport is None or self.peer.transport.is_closing():
                _abort(transport)
                return
            for data in self.peer._early:
                transport.write(data)
            self.peer._early.clear()
            if self.peer._end_received and not self.peer._waiting:
                self.peer._pass_end(transport)
            if self.link.is_stalled:
                transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        link = self.link
        if link.lost == ("client" if self.from_client else "server"):
            return
        self._in_turn(data)

    def _in_turn(self, item: bytes | None) -> None:
        """Forward data when it is due, after all data received before. None is the end of the stream."""
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
        self._end_received = True
        if self.link.lost != ("client" if self.from_client else "server"):
            self._in_turn(None)
        return True

    def _pass_end(self, transport: asyncio.Transport) -> None:
        self._ended = True
        if not transport.is_closing():
            with contextlib.suppress(OSError):
                transport.write_eof()
        if self.peer is not None and self.peer._ended:
            # Both directions have ended. asyncio no longer reads the sockets and would never close them.
            self.close()
            self.peer.close()

    def close(self) -> None:
        """Close the connection normally."""
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
    """A proxied route from one process to another: a port that forwards to an upstream port."""

    def __init__(self, name: str, upstream: Callable[[], int]) -> None:
        self.name = name
        self._upstream = upstream
        """Returns the upstream port. Called for each connection, because a promoted standby changes it."""
        self.port = 0
        self.connections: set[_ProxySide] = set()
        self._server: asyncio.Server | None = None
        self._dialling: set[asyncio.Task[None]] = set()
        self.wait = 0.0
        self.lost = ""
        """The side whose data is lost: `client`, `server`, or an empty string for neither."""
        self.is_stalled = False
        self.is_cut = False

    async def open(self) -> None:
        """Listen for connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _ProxySide(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and reset all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._dialling:
            task.cancel()
        self.reset()

    def accept(self, half: _ProxySide) -> None:
        """Connect an accepted client to the upstream."""
        if self.is_cut:
            _abort(half.transport)
            return
        if self.is_stalled and half.transport is not None:
            half.transport.pause_reading()
        task = asyncio.create_task(self._dial(half))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, half: _ProxySide) -> None:
        loop: Any = asyncio.get_running_loop()
        other = _ProxySide(self, half)
        half.peer = other
        try:
            await loop.create_connection(lambda: other, "127.0.0.1", self._upstream())
        except OSError:
            _abort(half.transport)
        else:
            if half.transport is None or half.transport.is_closing():
                _abort(other.transport)

    def reset(self) -> None:
        """End all connections by RST."""
        for half in tuple(self.connections):
            _abort(half.transport)

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        self.is_cut = True
        self.reset()

    def stall(self) -> None:
        """Hold back all data without losing any."""
        self.is_stalled = True
        for half in self.connections:
            if half.transport is not None and not half.transport.is_closing():
                half.transport.pause_reading()

    def half_open(self, side: str) -> None:
        """Silently drop all data sent by `side` from now on."""
        self.lost = side

    def delay(self, seconds: float) -> None:
        """Delay all data by this time."""
        self.wait = seconds

    def heal(self) -> None:
        """Undo all faults. Connections that have lost data are reset."""
        if self.lost:
            self.lost = ""
            self.reset()
        if self.is_stalled:
            self.is_stalled = False
            for half in self.connections:
                if half.transport is not None and not half.transport.is_closing():
                    half.transport.resume_reading()
        self.is_cut, self.wait = False, 0.0
