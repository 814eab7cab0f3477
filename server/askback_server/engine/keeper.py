"""Keeps the sessions of this replica's workers alive, and takes the jobs of expired sessions back.

The protocol. A worker session is one row with an expiry, `lease_ttl` ahead. The worker sends a heartbeat at
least every third of that time; any frame counts as one. A few times per TTL the keeper extends the sessions
that were heard since its last beat, all in one statement: the cost depends on the number of workers, not of
jobs.

A session that was not extended expires by the database's clock and is never revived. From then on every
guarded write of its worker fails, so its jobs can be given to others safely. `reap` deletes expired rows at
any replica and returns their jobs to the queue.

Resuming a session raises its epoch. The write guards name the epoch, so a stream that was replaced cannot
write any more, even if it has not noticed yet.
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
from askback_server.ports.storage import WorkQueue
from askback_server.ports.worker_sessions import Doubts, SessionStore

_log = logging.getLogger("askback.server.engine")

MAX_SILENT_BEATS = 3
"""Beats without a sign of life after which a worker gets no more jobs: it has missed a heartbeat."""
BEATS_PER_TTL = 6
"""Beats of the keeper per time to live."""
MAX_ORPHANS = 500
"""Jobs taken back per query."""


@dataclass(slots=True, eq=False)
class LiveSession:
    """A session whose worker is connected to this replica."""

    session: SessionRef
    on_lost: Callable[[], None]
    """Called once when the session is found to have expired."""
    on_moved: Callable[[], None]
    """Called once when another stream, at this replica or another, has resumed the session."""
    expires_at: datetime
    heard: bool = True
    silent: int = 0
    """Beats without a sign of life."""

    @property
    def is_silent(self) -> bool:
        """Whether the worker has missed a heartbeat: it may not receive pushed jobs."""
        return self.silent >= MAX_SILENT_BEATS


class SessionKeeper:
    """Extends the sessions whose workers were heard."""

    def __init__(self, store: SessionStore, queue: WorkQueue, engine: Engine, ttl: float) -> None:
        self._store = store
        self._queue = queue
        self._engine = engine
        self.ttl = ttl
        self._live: dict[str, LiveSession] = {}
        self._left: list[tuple[str, int]] = []
        """(session, epoch) of streams that were heard after their last extension and then ended."""
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def heartbeat_interval(self) -> float:
        """Seconds between the heartbeats of a worker. After three missed ones its session expires."""
        return self.ttl / 3

    def keep(self, live: LiveSession) -> None:
        """Keep a session alive while its worker is heard. It replaces an older stream of the session here."""
        before = self._live.get(live.session.session_id)
        self._live[live.session.session_id] = live
        if before is not None:
            before.on_moved()

    def note_heard(self, session: SessionRef) -> None:
        """Note a sign of life of a session's worker."""
        live = self._live.get(session.session_id)
        if live is not None and live.session.epoch == session.epoch:
            live.heard, live.silent = True, 0

    @property
    def present(self) -> list[tuple[str, int]]:
        """The (session, epoch) of the connected workers."""
        return [(live.session.session_id, live.session.epoch) for live in self._live.values()]

    def forget(self, session: SessionRef) -> None:
        """The worker's stream has ended. The session lives until its TTL after the last sign of life."""
        live = self._live.get(session.session_id)
        if live is not None and live.session.epoch == session.epoch:
            del self._live[session.session_id]
            if live.heard:
                self._left.append((session.session_id, session.epoch))

    def doubt(self, session: SessionRef, leases: Doubts) -> None:
        """Record leases that the worker of an ended stream may not have received.

        If it does not resume before the session expires, these leases do not count as attempts.
        """
        if leases:
            task = asyncio.create_task(self._doubt(session, leases))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _doubt(self, session: SessionRef, leases: Doubts) -> None:
        try:
            await self._store.change_doubts(session, lambda known: {**known, **leases})
        except Exception as error:  # the storage may be unavailable or already closed
            _log.info("unreceived leases were not recorded: %s", error)

    async def run(self) -> None:
        """Beat and reap until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(every(self.ttl / BEATS_PER_TTL, self.beat, "keeping worker sessions"))
            tasks.create_task(every(self.ttl / 3, self.reap, "reaping worker sessions"))

    async def beat(self) -> None:
        """Extend the sessions heard since the last beat, and report those that were lost."""
        heard = [live for live in self._live.values() if live.heard]
        for live in self._live.values():
            live.silent = 0 if live.heard else live.silent + 1
            live.heard = False
        left, self._left = self._left, []
        # One epoch per session: a worker that resumed since has a newer epoch than the stream it left.
        extended = dict(left) | {live.session.session_id: live.session.epoch for live in heard}
        try:
            alive = await self._store.beat(list(extended.items()), self.ttl)
        except StorageUnavailable:
            for live in heard:
                live.heard = True  # counts again at the next beat
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
            await self._end_missing(missing)
        for live in [live for live in self._live.values() if live.silent > BEATS_PER_TTL]:
            self._lose(live)  # expired at least a beat ago; a stream without a session is useless

    async def _end_missing(self, missing: list[LiveSession]) -> None:
        """Tell resumed sessions from expired ones: a newer epoch means that another stream has the leases."""
        epochs = await self._store.epochs([live.session.session_id for live in missing])
        for live in missing:
            if epochs.get(live.session.session_id, 0) <= live.session.epoch:
                self._lose(live)
            elif self._live.get(live.session.session_id) is live:
                del self._live[live.session.session_id]
                live.on_moved()

    def _lose(self, live: LiveSession) -> None:
        if self._live.get(live.session.session_id) is live:
            del self._live[live.session.session_id]
            live.on_lost()

    async def reap(self) -> None:
        """Delete expired sessions, then return their jobs to the queue by guarded commands.

        Jobs are found by their missing session row, so a crash between the two steps loses none. Leases that
        the worker never received come first, while the row still lists them: they do not count as attempts.
        """
        for session_id, doubts in await self._store.list_expired_doubts(MAX_ORPHANS):
            unreceived = [(job_id, d.version) for job_id, d in doubts.items() if d.version]
            if all(await asyncio.gather(*(self._return_job(j, session_id, v) for j, v in unreceived))):
                await self._store.settle(session_id)
        await self._store.reap()
        while True:
            orphans = await self._queue.orphans(MAX_ORPHANS)
            results = await asyncio.gather(*(self._return_job(*o) for o in orphans))
            if len(orphans) < MAX_ORPHANS or not any(results):
                return

    async def _return_job(self, job_id: str, session_id: str, unreceived: int = 0) -> bool:
        command = LoseSession(job_id=job_id, session_id=session_id, unreceived=unreceived)
        try:
            await self._engine.execute(command)
        except AskbackError as error:
            _log.warning("job %s was not returned to its queue: %s", job_id, error, extra={"job_id": job_id})
            return False
        return True
