"""Askback, with the client of `make bench`: 32 worker streams and 4 consoles."""

from __future__ import annotations

from contextlib import ExitStack

from peers.peer import LANES, QUESTIONS, Peer, Settings
from tests.bench.client import Client
from tests.bench.servers import SERVE, RunningServer, serving


class System(Peer):
    """Askback with default settings, on the database of the settings; without one on a new SQLite file."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._stack = ExitStack()
        self._client: Client | None = None

    async def start(self) -> None:
        """Start the service, and connect workers and consoles to it."""
        folder = self.settings.folder
        database = self.settings.database.replace("postgresql://", "postgresql+asyncpg://")
        environment = {
            "ASKBACK_DB": database or f"sqlite+aiosqlite:///{folder}/bench.db",
            "ASKBACK_MIGRATE": "1",
        }
        pid, address = self._stack.enter_context(serving(SERVE, environment, folder))
        server = RunningServer("askback", address, pid)
        self._client = Client(server, server, QUESTIONS, LANES)
        await self._client.open()
        await self._client.prepare_for_jobs()

    async def stop(self) -> None:
        """Close the streams and stop the service."""
        if self._client is not None:
            await self._client.close()
        self._stack.close()

    async def trip(self, lane: int) -> None:
        """Ask a question of a worker's job, and wait until the worker has the answer."""
        assert self._client is not None
        await self._client.ask(lane)

    async def job(self, lane: int) -> None:
        """Create a job by a call. A worker stream leases and completes it."""
        assert self._client is not None
        await self._client.complete(await self._client.new_job(lane))
