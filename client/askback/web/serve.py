"""Runs a gateway under uvicorn, and drains it before it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from askback.web.gateway import Gateway
from askback.web.http_server import HttpProtocol, SocketProtocol

_log = logging.getLogger("askback.web")
STOP_SECONDS = 5
"""Seconds that uvicorn waits for requests when all streams have ended."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the program that runs it decides when it stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class WebServer:
    """The HTTP server of a gateway, from `start` to `stop`."""

    def __init__(self, gateway: Gateway, app: ASGIApp) -> None:
        self._gateway = gateway
        settings, limits = gateway.settings, gateway.limits
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        self._server = _Server(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                ws=SocketProtocol,
                ws_max_size=limits.body_bytes,
                ws_ping_interval=limits.ping_seconds,
                ws_ping_timeout=limits.ping_seconds,
                # It costs memory for each socket, and secrets compressed together with other people's text
                # can be guessed by their length.
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=STOP_SECONDS,
                timeout_keep_alive=75,
                ssl_certfile=settings.tls_cert or None,
                ssl_keyfile=settings.tls_key or None,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )
        self._running: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen and serve. Raises OSError."""
        host, port = self._gateway.settings.address
        family = socket.AF_INET6 if ":" in host else socket.AF_UNSPEC
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.create_server(found[0][4][:2], family=found[0][0], backlog=2048)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._running = asyncio.create_task(self._server.serve([listener]), name="askback-web")
        listening = asyncio.ensure_future(self._server.listening.wait())
        await asyncio.wait((listening, self._running), return_when=asyncio.FIRST_COMPLETED)
        if listening.cancel():
            self._running.result()

    async def stop(self) -> None:
        """Drain: become not ready, ask pages to leave, end the rest, and stop listening."""
        settings = self._gateway.settings
        _log.info("draining %d pages", len(self._gateway.streams))
        self._gateway.streams.draining = True
        await asyncio.sleep(settings.drain_wait)
        await self._gateway.streams.drain(settings.drain_spread, settings.drain_grace)
        self._server.should_exit = True
        if self._running is not None:
            await asyncio.wait((self._running,))
        await self._gateway.upstream.close()

    @property
    def failed(self) -> asyncio.Task[Any] | None:
        """The task that serves; it ends only by `stop` or by a failure."""
        return self._running
