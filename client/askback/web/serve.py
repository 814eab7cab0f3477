"""Runs a gateway under uvicorn, and drains it before it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn

from askback._wire.channel import Endpoint
from askback.web.app import create_app
from askback.web.gateway import Gateway
from askback.web.http_server import HttpProtocol, SocketProtocol
from askback.web.settings import WebSettings

if TYPE_CHECKING:
    from askback._metrics.exposition import Exposition, LoopCollector

_log = logging.getLogger("askback.web")
STOP_SECONDS = 5
"""Seconds that uvicorn waits for requests when all streams have ended."""
KEEP_ALIVE_SECONDS = 75
"""Longer than proxies keep idle connections: otherwise they may send a request on one that is closing."""


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
    """A gateway with its HTTP server, from construction to `stop`."""

    def __init__(self, settings: WebSettings, endpoint: Endpoint, *, only_healthy: bool = True) -> None:
        """Listen. `endpoint` is the service, `only_healthy` as in `Endpoint.open`.

        Raises OSError if the address cannot be bound, AssetsMissing, BadKeyFile.
        """
        limits = settings.limits
        self._listener = _listen(*settings.address)
        self.port: int = self._listener.getsockname()[1]
        try:
            self.gateway = Gateway(settings, endpoint, self.port, only_healthy=only_healthy)
        except BaseException:
            self._listener.close()
            raise
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        self._server = _Server(
            uvicorn.Config(
                create_app(self.gateway),
                http=HttpProtocol,
                ws=SocketProtocol,
                ws_max_size=limits.body_bytes,
                ws_ping_interval=limits.ping_seconds,
                ws_ping_timeout=limits.ping_seconds,
                # It costs memory for each socket, and secrets compressed together with other people's text
                # can be guessed by their length.
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=STOP_SECONDS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
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

    @property
    def address(self) -> str:
        """Where browsers find the page."""
        return self.gateway.origins.all[0]

    def collector(self) -> LoopCollector:
        """The metrics of this gateway. Call it in its event loop."""
        from askback.web.metrics import GatewayCollector  # needs the library of Prometheus

        return GatewayCollector(self.gateway)

    async def start(self) -> asyncio.Task[None]:
        """Serve. Returns the task, which ends by `stop` or by a failure."""
        self._running = asyncio.create_task(self._server.serve([self._listener]), name="askback-web")
        listening = asyncio.ensure_future(self._server.listening.wait())
        await asyncio.wait((listening, self._running), return_when=asyncio.FIRST_COMPLETED)
        if listening.cancel():
            self._running.result()
        return self._running

    async def stop(self) -> None:
        """Drain: become not ready, ask pages to leave, end the rest, and stop listening."""
        settings, streams = self.gateway.settings, self.gateway.streams
        _log.info("draining %d pages", len(streams))
        streams.draining = True
        await asyncio.sleep(settings.drain_wait)
        await streams.drain(settings.drain_spread, settings.drain_grace)
        self._server.should_exit = True
        if self._running is not None:
            await asyncio.wait((self._running,))
        self._listener.close()
        await self.gateway.upstream.close()


def run(settings: WebSettings, endpoint: Endpoint) -> int:
    """Serve until SIGTERM or SIGINT, then drain. Returns the exit code.

    Raises OSError if the address of the page cannot be bound, RuntimeError if that of the metrics cannot,
    AssetsMissing, BadKeyFile.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    _raise_descriptor_limit()
    return asyncio.run(_run_until_signal(settings, endpoint))


async def _run_until_signal(settings: WebSettings, endpoint: Endpoint) -> int:
    server = WebServer(settings, endpoint)
    exposition = _expose(server, settings) if settings.metrics_listen else None
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    serving = await server.start()
    if not settings.session_keys and settings.public_origins:
        _log.warning("no session keys are set: sessions end with this process, at this gateway only")
    print(f"askback serves the page at {server.address}, for the service at {endpoint.address}", flush=True)
    waiting = asyncio.ensure_future(signalled.wait())
    await asyncio.wait((waiting, serving), return_when=asyncio.FIRST_COMPLETED)
    failed = serving.done()
    waiting.cancel()
    await server.stop()
    if exposition is not None:
        await exposition.close()
    if failed:
        serving.result()
    return 1 if failed else 0


def _expose(server: WebServer, settings: WebSettings) -> Exposition:
    from askback._metrics.exposition import Exposition  # needs the library of Prometheus

    try:
        return Exposition(*settings.metrics_address, server.collector())
    except OSError as error:
        listen = settings.metrics_listen
        raise RuntimeError(f"cannot listen on {listen}, of --metrics-listen: {error}") from None


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of file descriptors, often 1,024, to the hard limit: each page needs two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 binds a free one. Raises OSError."""
    family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.create_server(place[:2], family=family, backlog=2048)
    listener.setblocking(False)
    return listener
