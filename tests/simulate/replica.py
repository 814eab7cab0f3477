"""A whole replica on the simulated database: everything that `build` creates, but no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from askback_server.bootstrap import build
from askback_server.config.settings import Config
from askback_server.domain.principals import Principal, Role
from askback_server.sessions.access import Access
from askback_server.sessions.replica import Replica
from askback_server.transport.streams import serve_converse, serve_work
from tests.simulate.database import SimulatedDatabase
from tests.simulate.virtual_time import OrderedSet

HEARTBEAT = 2.0
LEASE_TTL = 9.0
PEOPLE = {
    "ann": Principal("ann", frozenset({Role.CONSOLE}), groups=frozenset({"law"})),
    "bob": Principal("bob", frozenset({Role.CONSOLE})),
    "wanda": Principal("wanda", frozenset({Role.WORKER})),
}


class SimulatedReplica:
    """A replica that can crash and restart with an empty memory."""

    def __init__(self, name: str, database: SimulatedDatabase) -> None:
        self._config = Config(
            replica=name,
            heartbeat=HEARTBEAT,
            lease_ttl=LEASE_TTL,
            sweep_interval=20.0,
            hot_jobs_bytes=1024 * 1024,
        )
        self._database = database
        self.links = OrderedSet()
        self.parts: Replica = None  # type: ignore[assignment]
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self, *, serve_workers: bool) -> None:
        """Start the replica's tasks, with those that lease jobs only if it serves workers."""
        parts = self.parts = await build(self._config, self._database, self._database.clock)  # type: ignore[arg-type]
        running: list[Coroutine[Any, Any, None]] = [
            parts.engine.run(),
            parts.feed.run(),
            parts.feed.wakeups.run(parts.feed.receive),
            parts.timers.run(),
            parts.sweep.run(),
        ]
        if serve_workers:
            running += [parts.dispatcher.run(), parts.keeper.run()]
        self._tasks = [asyncio.create_task(work) for work in running]

    async def serve(self, method: str, user: str, context: Any) -> None:
        serve = serve_converse if method == "Converse" else serve_work
        await serve(self.parts, Access(PEOPLE[user]), context)

    def go_away(self) -> None:
        """Ask every stream to reconnect."""
        for session in tuple(self.parts.streams):
            session.go_away("drain", 2.0)

    async def crash(self) -> None:
        """Cut all links and cancel all tasks."""
        for link in tuple(self.links):
            link.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
