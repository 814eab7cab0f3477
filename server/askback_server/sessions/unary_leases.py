"""Compares what a worker without a stream says it holds with what its session holds.

Unary calls have no order: a LeaseJobs reply may be on its way while the worker lists what it has. So a job is
taken back only when two lists in a row, some time apart, leave it out.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from askback_server.domain.aggregate import ANY_EPOCH
from askback_server.domain.commands import SessionRef
from askback_server.domain.jobs import Job
from askback_server.engine.engine import Engine
from askback_server.ports.worker_sessions import Doubt, Doubts, SessionStore
from askback_server.sessions.lease_book import digest_leases
from askback_server.sessions.lost_leases import drop_leases
from askback_server.sessions.work_frames import LeaseDigest

Lease = tuple[str, int]
"""A job id and a token."""


class UnaryLeases:
    """The leases of one session, whose worker calls ExtendLease. `apart`: seconds between two lists."""

    def __init__(self, store: SessionStore, engine: Engine, session_id: str, apart: float) -> None:
        self._store = store
        self._engine = engine
        self._session = SessionRef(session_id, ANY_EPOCH)
        self._apart = apart

    async def note_sent(self, jobs: Collection[Job]) -> None:
        """A reply with these jobs goes to the worker, which has not confirmed them yet."""
        sent = {job.job_id: Doubt(job.token, job.version) for job in jobs}
        await self._store.change_doubts(self._session, lambda known: {**known, **sent})

    async def confirm_all(self) -> None:
        """The worker uses the session and says nothing of its leases: it has them."""
        await self._store.change_doubts(self._session, lambda _: {})

    async def differ(self, digest: LeaseDigest) -> bool:
        """Whether the session holds others than the digest says. If not, all are confirmed."""
        held = await self._store.leases(self._session.session_id)
        if digest_leases([(job_id, token) for job_id, (token, _) in held.items()]) != digest:
            return True
        await self.confirm_all()
        return False

    async def compare(self, named: Collection[Lease], now: datetime) -> list[Lease]:
        """Take back what the worker does not run. Returns what it names and the session does not hold."""
        held = await self._store.leases(self._session.session_id)
        unnamed = {i: (token, version) for i, (token, version) in held.items() if (i, token) not in named}
        missing: dict[str, Doubt] = {}

        def change(known: Doubts) -> Doubts:
            """Those that are named are confirmed; of the others it is kept since when they are missing."""
            after = {job_id: d for job_id, d in known.items() if (job_id, d.token) not in named}
            for job_id, (token, _) in unnamed.items():
                doubt = known.get(job_id)
                if doubt is None or doubt.token != token:
                    doubt = Doubt(token)
                if doubt.since is None:
                    doubt = Doubt(doubt.token, doubt.version, now.timestamp())
                elif now.timestamp() - doubt.since >= self._apart:
                    missing[job_id] = doubt
                after[job_id] = doubt
            return after

        await self._store.change_doubts(self._session, change)
        if missing:
            found = [(i, doubt.token, doubt.version != unnamed[i][1]) for i, doubt in missing.items()]
            await drop_leases(self._engine, self._session, found)
        return sorted((i, token) for i, token in named if i not in held or held[i][0] != token)
