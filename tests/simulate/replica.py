"""A whole replica on the simulated database: everything that `build` creates, but no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from askback_server.bootstrap import build
from askback_server.config.settings import Config
from askback_server.sessions.access import Access
from askback_server.sessions.replica import Replica
from askback_server.transport.streams import serve_converse, serve_work
from tests.simulate.absences import SimulatedAbsences
from tests.simulate.database import SimulatedDatabase
from tests.simulate.people import People
from tests.simulate.rules import SimulatedRules
from tests.simulate.virtual_time import OrderedSet

HEARTBEAT = 2.0
LEASE_TTL = 9.0


class SimulatedReplica:
    """A replica that can crash and restart with an empty memory."""

    def __init__(self, name: str, database: SimulatedDatabase, people: People) -> None:
        self._config = Config(
            replica=name,
            heartbeat=HEARTBEAT,
            lease_ttl=LEASE_TTL,
            sweep_interval=20.0,
            hot_jobs_bytes=1024 * 1024,
            rules_need_approval="default=risk",
        )
        self._database = database
        self._people = people
        self._accesses: list[tuple[str, Access]] = []
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
        if isinstance(self._database.rules, SimulatedRules):
            running.append(parts.rules.run())
            running += [parts.policy.run()] if self._database.rules.need_approval else []
        if isinstance(self._database.absences, SimulatedAbsences):
            running.append(parts.absences.run())
        self._tasks = [asyncio.create_task(work) for work in running]

    async def serve(self, method: str, user: str, context: Any) -> None:
        serve = serve_converse if method == "Converse" else serve_work
        call = user, Access(self._people[user])
        self._accesses.append(call)
        try:
            await serve(self.parts, call[1], context)
        finally:
            self._accesses.remove(call)

    def change_access(self, user: str) -> None:
        """Apply a change of what a user may do to the user's open streams."""
        for name, access in tuple(self._accesses):
            if name == user:
                access.change(self._people[user])

    def go_away(self) -> None:
        """Ask every stream to reconnect."""
        for session in tuple(self.parts.streams):
            session.go_away("drain", 2.0)

    def runs(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether a task is one of this replica's."""
        return task in self._tasks

    async def crash(self) -> None:
        """Cut all links and cancel all tasks."""
        for link in tuple(self.links):
            link.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
