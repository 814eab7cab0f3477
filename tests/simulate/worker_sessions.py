"""The worker sessions of the simulated database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from askback_server.domain.commands import SessionRef
from askback_server.ports.clock import uuid7
from askback_server.ports.worker_sessions import Doubts, WorkerSession

if TYPE_CHECKING:
    from tests.simulate.database import SimulatedDatabase


class SimulatedSessions:
    """The SessionStore port."""

    def __init__(self, database: SimulatedDatabase) -> None:
        self._database = database
        self._rows = database.rows

    def _until(self, ttl: float) -> datetime:
        return self._database.clock.now() + timedelta(seconds=ttl)

    async def open(
        self, namespace: str, worker_id: str, subject: str, replica: str, ttl: float
    ) -> tuple[WorkerSession, str]:
        await self._database.pause()
        row = WorkerSession(uuid7(), namespace, worker_id, subject, replica, 1, self._until(ttl))
        self._rows.sessions[row.session_id] = (row, "secret")
        return row, "secret"

    async def resume(
        self, session_id: str, secret: str, subject: str, replica: str, ttl: float
    ) -> WorkerSession | None:
        await self._database.pause()
        row = self._database.alive(session_id)
        if row is None or row.subject != subject:
            return None
        row = replace(row, replica=replica, epoch=row.epoch + 1, expires_at=self._until(ttl))
        self._rows.sessions[session_id] = (row, secret)
        self._rows.doubts.pop(session_id, None)
        return row

    async def epochs(self, session_ids: Sequence[str]) -> dict[str, int]:
        await self._database.pause()
        return {i: row.epoch for i in session_ids if (row := self._database.alive(i)) is not None}

    async def beat(self, sessions: Sequence[tuple[str, int]], ttl: float) -> dict[str, datetime]:
        await self._database.pause()
        kept = {}
        for session_id, epoch in sessions:
            row = self._database.alive(session_id)
            if row is not None and row.epoch == epoch:
                kept[session_id] = self._until(ttl)
                self._rows.sessions[session_id] = (replace(row, expires_at=kept[session_id]), "secret")
        return kept

    async def change_doubts(self, session: SessionRef, change: Callable[[Doubts], Doubts]) -> None:
        await self._database.pause()
        row = self._database.alive(session.session_id)
        if row is not None and session.epoch in (0, row.epoch):
            known = self._rows.doubts.get(session.session_id, {})
            self._rows.doubts[session.session_id] = change(known)

    async def list_expired_doubts(self, limit: int) -> list[tuple[str, Doubts]]:
        await self._database.pause()
        return [(i, d) for i, d in self._rows.doubts.items() if d and self._database.alive(i) is None]

    async def settle(self, session_id: str) -> None:
        await self._database.pause()
        self._rows.doubts.pop(session_id, None)

    async def reap(self) -> int:
        await self._database.pause()
        dead = [
            i for i in self._rows.sessions if self._database.alive(i) is None and not self._rows.doubts.get(i)
        ]
        for session_id in dead:
            del self._rows.sessions[session_id]
        return len(dead)

    async def leases(self, session_id: str) -> dict[str, tuple[int, int]]:
        jobs = self._rows.jobs
        held = await self._database.read(lambda: [j for j in jobs.values() if j.session_id == session_id])
        return {job.job_id: (job.token, job.version) for job in held}

    async def close(self, session_id: str, epoch: int) -> bool:
        await self._database.pause()
        row = self._database.alive(session_id)
        if row is None or row.epoch != epoch:
            return False
        del self._rows.sessions[session_id]
        return True
