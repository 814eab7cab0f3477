"""Keeps the sessions of this replica's workers alive, and takes back the jobs of dead ones.

One statement extends all of them; the cost is by workers, never by jobs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from askback_server.domain.commands import LoseSession, SessionRef
from askback_server.domain.errors import AskbackError, StorageUnavailable
from askback_server.engine.engine import Engine
from askback_server.engine.periodic import every
from askback_server.ports.storage import Doubts, SessionStore, WorkQueue

log = logging.getLogger(__name__)

SILENT = 3
"""Turns without a sign of life after which a worker has missed its heartbeat: it gets no more jobs."""
TURNS = 6
"""Turns of the keeper in a session's time to live."""
ORPHANS = 500
"""Jobs taken back in one turn."""


@dataclass(slots=True, eq=False)
class LiveSession:
    """A session whose worker this replica hears."""

    session: SessionRef
    lost: Callable[[], None]
    """Called once when the session is found to be gone."""
    moved: Callable[[], None]
    """Called once when another stream, of this replica or another, has resumed it."""
    expires_at: datetime
    heard: bool = True
    silent: int = 0
    """Turns of the keeper without a sign of life."""

    @property
    def is_silent(self) -> bool:
        """Whether the worker has missed a heartbeat, and may not receive what is pushed to it."""
        return self.silent >= SILENT


class SessionKeeper:
    """Heartbeats in, one extension out, every third of the time to live."""

    def __init__(self, store: SessionStore, queue: WorkQueue, engine: Engine, ttl: float) -> None:
        self._store = store
        self._queue = queue
        self._engine = engine
        self.ttl = ttl
        self._live: dict[str, LiveSession] = {}
        self._left: list[tuple[str, int]] = []
        """(session, epoch) of streams that ended after their last extension, and were heard in between."""
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def heartbeat_interval(self) -> float:
        """How often a worker must be heard, in seconds; three missed and its session expires."""
        return self.ttl / 3

    def keep(self, live: LiveSession) -> None:
        """Keep a session for as long as its worker is heard. An older stream here has moved on."""
        before = self._live.get(live.session.session_id)
        self._live[live.session.session_id] = live
        if before is not None:
            before.moved()

    def heard(self, session: SessionRef) -> None:
        """A sign of life."""
        live = self._live.get(session.session_id)
        if live is not None and live.session.epoch == session.epoch:
            live.heard, live.silent = True, 0

    @property
    def present(self) -> list[tuple[str, int]]:
        """The (session, epoch) of the workers that this replica hears."""
        return [(k.session.session_id, k.session.epoch) for k in self._live.values()]

    def forget(self, session: SessionRef) -> None:
        """The worker's stream is gone. The session lives for as long as the last sign of life gives it."""
        live = self._live.get(session.session_id)
        if live is not None and live.session.epoch == session.epoch:
            del self._live[session.session_id]
            if live.heard:
                self._left.append((session.session_id, session.epoch))

    def doubt(self, session: SessionRef, leases: Doubts) -> None:
        """The stream of a session ended, and its worker has not received these leases. If it does not come
        back before the session expires, they are no attempts."""
        if leases:
            task = asyncio.create_task(self._doubt(session, leases))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _doubt(self, session: SessionRef, leases: Doubts) -> None:
        try:
            await self._store.change_doubts(session, lambda known: {**known, **leases})
        except Exception as error:  # of a storage that is away, or closed by now
            log.info("not noted that a worker did not receive its jobs: %s", error)

    async def run(self) -> None:
        """Extend and reap until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(every(self.ttl / TURNS, self.beat, "keeping worker sessions"))
            tasks.create_task(every(self.ttl / 3, self.reap, "reaping worker sessions"))

    async def beat(self) -> None:
        """Extend the sessions that were heard since the last time."""
        heard = [k for k in self._live.values() if k.heard]
        for live in self._live.values():
            live.silent = 0 if live.heard else live.silent + 1
            live.heard = False
        left, self._left = self._left, []
        # By session: a worker that came back since then is at a newer epoch than the stream that it left.
        extended = dict(left) | {k.session.session_id: k.session.epoch for k in heard}
        try:
            alive = await self._store.beat(list(extended.items()), self.ttl)
        except StorageUnavailable:
            for live in heard:
                live.heard = True  # it was, and the next turn says so
            self._left = left + self._left
            raise
        missing = []
        for live in heard:
            until = alive.get(live.session.session_id)
            if until is not None:
                live.expires_at = until
            else:
                missing.append(live)
        if missing:
            await self._tell_moved_from_lost(missing)
        for live in [k for k in self._live.values() if k.silent > TURNS]:
            self._lose(live)  # expired a turn ago or more; a stream without a session is good for nothing

    async def _tell_moved_from_lost(self, missing: list[LiveSession]) -> None:
        """A session that lives under a newer epoch is at another stream now, and so are all its leases."""
        epochs = await self._store.epochs([k.session.session_id for k in missing])
        for live in missing:
            if epochs.get(live.session.session_id, 0) <= live.session.epoch:
                self._lose(live)
            elif self._live.get(live.session.session_id) is live:
                del self._live[live.session.session_id]
                live.moved()

    def _lose(self, live: LiveSession) -> None:
        if self._live.get(live.session.session_id) is live:
            del self._live[live.session.session_id]
            live.lost()

    async def reap(self) -> None:
        """Delete expired sessions, then give their jobs back by guarded commands.

        The jobs are found by the missing row, so a crash between the two steps loses none. Those that their
        worker never received come first, while the row says so: they are no attempts.
        """
        for session_id, doubts in await self._store.expired_doubts(ORPHANS):
            unreceived = [(job_id, d.version) for job_id, d in doubts.items() if d.version]
            if all(await asyncio.gather(*(self._give_back(j, session_id, v) for j, v in unreceived))):
                await self._store.settle(session_id)
        await self._store.reap()
        while True:
            orphans = await self._queue.orphans(ORPHANS)
            results = await asyncio.gather(*(self._give_back(*o) for o in orphans))
            if len(orphans) < ORPHANS or not any(results):
                return

    async def _give_back(self, job_id: str, session_id: str, unreceived: int = 0) -> bool:
        command = LoseSession(job_id=job_id, session_id=session_id, unreceived=unreceived)
        try:
            await self._engine.execute(command)
        except AskbackError as error:
            log.warning("job %s was not given back: %s", job_id, error, extra={"job_id": job_id})
            return False
        return True
