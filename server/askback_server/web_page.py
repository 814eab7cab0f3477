"""The page of `askback serve --web`: the gateway of `askback.web` in this process, over a private channel.

The gateway is a client of the service like any other: it calls over gRPC, with each person's own credential.
Its channel is a Unix socket in a folder of this process, so it needs no TLS, and no other user can connect.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askback_server.addresses import address, is_loopback
from askback_server.config.settings import Config
from askback_server.listening import cannot_listen

if TYPE_CHECKING:
    from askback_server.transport.server import Server


class WebPage:
    """The gateway, from `connect` to `stop`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = Path(tempfile.mkdtemp(prefix="askback-"))  # for its owner alone
        self._stopping = False
        self._server: Any = None  # askback.web is imported only if there is a page

    def connect(self, server: Server) -> None:
        """Have the service listen for the gateway, before it starts. Raises RuntimeError."""
        server.listen_inside(f"unix:{self._folder / 'grpc'}")

    async def start(self, failed: Callable[[asyncio.Task[None]], None]) -> None:
        """Serve the page. `failed` is called with the task that serves, if it ends before `stop`.

        Raises CannotListen, RuntimeError if the gateway or its files are not installed, and ValueError for a
        wrong origin and for keys that cannot be used.
        """
        try:
            from askback._wire.channel import Endpoint
            from askback.web.serve import WebServer
            from askback.web.settings import WebSettings
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f"--web needs the gateway (no module {error.name!r}): pip install 'askback[server,web]'"
            ) from None
        config = self._config
        here = is_loopback(address(config.web)[0])
        settings = WebSettings(
            listen=config.web,
            public_origins=(config.web_origin,) if config.web_origin else (),
            names=not config.auth,
            session_keys=config.web_session_keys,
            # On loopback it is for this machine, or for a proxy on it that speaks TLS.
            tls_cert="" if here else config.tls_cert,
            tls_key="" if here else config.tls_key,
            drain_spread=config.drain_spread,
            drain_grace=config.drain_grace,
        )
        endpoint = Endpoint(f"unix:{self._folder / 'grpc'}")
        try:
            # A service that drains reports that it is not healthy, and still takes the answers of pages.
            self._server = WebServer(settings, endpoint, only_healthy=False)
        except OSError as error:
            raise cannot_listen(config.web, "--web", error) from None
        task: asyncio.Task[None] = await self._server.start()
        task.add_done_callback(lambda task: None if self._stopping else failed(task))

    @property
    def port(self) -> int:
        """The port of the page."""
        port: int = self._server.port
        return port

    @property
    def address(self) -> str:
        """Where browsers find the page."""
        found: str = self._server.address
        return found

    def collector(self) -> Any:
        """The metrics of the gateway, for the exposition of the service."""
        return self._server.collector()

    async def stop(self) -> None:
        """Ask the pages to leave, and stop listening."""
        self._stopping = True
        if self._server is not None:
            await self._server.stop()
            self._server = None

    def close(self) -> None:
        """Remove the private channel."""
        shutil.rmtree(self._folder, ignore_errors=True)
