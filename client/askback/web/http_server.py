"""uvicorn's protocols, with an end for connections whose other side does nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_SECONDS = 10.0
"""Seconds in which a new connection must send the head of its first request, a handshake included."""
CLOSE_SECONDS = 5.0
"""Seconds that a closed WebSocket has to take what was sent. Then its connection is reset: asyncio would keep
it open as long as the other side does not read."""
UNREAD_SECONDS = 20.0
"""Seconds that a client may take nothing of a response. Then its connection is reset."""


class HttpProtocol(H11Protocol):
    """HTTP/1.1 connections."""

    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request within `HEAD_SECONDS`."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._check_head)

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    @property
    def _has_request(self) -> bool:
        return bool(self.cycle)

    def _check_head(self) -> None:
        # After an upgrade the connection belongs to the protocol of the WebSocket.
        if self.transport.get_protocol() is self and not self._has_request:
            self.transport.abort()


class SocketProtocol(WebSocketsSansIOProtocol):
    """The connections of WebSockets."""

    async def run_asgi(self) -> None:
        """Run the application, and then give the other side `CLOSE_SECONDS` to read."""
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """Close a socket whose other side sends no pong."""
        super().keepalive_timeout()
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    async def send(self, message: Any) -> None:
        """Send a message. A close does not wait for a reader that is slow: it is the reason for the close."""
        if message["type"] == "websocket.close":
            self.writable.set()
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            # uvicorn 0.54 logs each handshake that is refused with a response as an error.
            self.handshake_complete = True
