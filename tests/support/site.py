"""The service and a gateway as two processes, which a test kills and starts again under open pages."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from tests.support.processes import Processes, Server, eventually, quiet_port
from tests.support.service import Caller, ServiceWorld


def write_keys(folder: Path) -> Path:
    """A file with one session key, so that people stay signed in at every gateway that has it."""
    keys = folder / "keys"
    keys.write_text(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() + "\n")
    keys.chmod(0o600)
    return keys


class Remote(ServiceWorld):
    """Calls a service that is another process, as ServiceWorld calls the one of this process."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        Caller.__init__(self, channel, (("askback-user", "ada"),))
        self.channel = channel


@asynccontextmanager
async def calls_to(server: Server) -> AsyncIterator[Remote]:
    """Open a channel to a service, which comes back soon after the service."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
    async with grpc.aio.insecure_channel(server.target, options=options) as channel:
        yield Remote(channel)


class Site:
    """The processes, and the calls of the test to the service."""

    def __init__(self, processes: Processes, server: Server, world: Remote, folder: Path) -> None:
        self._processes = processes
        self._db = _database(folder)
        self.server = server
        self.world = world
        self.port = quiet_port()
        """Where the page is."""
        self.gateway = processes.askback(
            "gateway", "web", "--names", "--listen", f"127.0.0.1:{self.port}",
            ASKBACK_SERVER=server.target, ASKBACK_WEB_SESSION_KEYS=str(write_keys(folder)),
        )  # fmt: skip

    async def gateway_serves(self) -> None:
        """Wait until the gateway that was started serves."""
        await eventually(lambda: "serves the page" in self.gateway.out, "the gateway serves")

    async def start(self) -> None:
        """Start again what does not run, and wait until it serves."""
        if not self.server.running:
            await self.server.serve()
            await self.world.channel.channel_ready()
        if not self.gateway.running:
            self.gateway.start()
            await self.gateway_serves()

    @asynccontextmanager
    async def unseen(self) -> AsyncIterator[Remote]:
        """Calls that no page sees: to the service, or, while it is down, to one on its data elsewhere."""
        if self.server.running:
            yield self.world
            return
        other = await self._processes.server(self._db, name="other")
        async with calls_to(other) as remote:
            yield remote
        other.kill()


def _database(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'db'}"


@asynccontextmanager
async def running_site(folder: Path) -> AsyncIterator[Site]:
    """Run a service on SQLite, and a gateway."""
    processes = Processes(folder)
    try:
        server = await processes.server(_database(folder))
        async with calls_to(server) as world:
            site = Site(processes, server, world, folder)
            await site.gateway_serves()
            yield site
    finally:
        processes.end()
