"""Compares the leases of a session without a stream with those that its worker names.

Unary calls have no order: a LeaseJobs reply may be on its way while the worker lists its leases. So a job is
taken back only if two lists in a row, some time apart, leave it out.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from askback_server.domain.aggregate import ANY_EPOCH
from askback_server.domain.commands import SessionRef
from askback_server.domain.jobs import Job
from askback_server.engine.engine import Engine
from askback_server.ports.worker_sessions import Doubt, Doubts, SessionStore
from askback_server.sessions.drop_leases import drop_leases
from askback_server.sessions.lease_book import digest_leases
from askback_server.sessions.work_frames import LeaseDigest

Lease = tuple[str, int]
"""A job id and a token."""


class UnaryLeases:
    """The leases of a session whose worker calls ExtendLease. Two lists must be `apart` seconds apart to
    count."""

    def __init__(self, store: SessionStore, engine: Engine, session_id: str, apart: float) -> None:
        self._store = store
        self._engine = engine
        self._session = SessionRef(session_id, ANY_EPOCH)
        self._apart = apart

    async def note_sent(self, jobs: Collection[Job]) -> None:
        """Record that a reply with these jobs is being sent: they are unconfirmed."""
        sent = {job.job_id: Doubt(job.token, job.version) for job in jobs}
        await self._store.change_doubts(self._session, lambda known: {**known, **sent})

    async def confirm_all(self) -> None:
        """Confirm all leases: the worker uses the session and reports no difference."""
        await self._store.change_doubts(self._session, lambda _: {})

    async def differ(self, digest: LeaseDigest) -> bool:
        """Whether the session's leases differ from the digest. If not, all are confirmed."""
        held = await self._store.leases(self._session.session_id)
        if digest_leases([(job_id, token) for job_id, (token, _) in held.items()]) != digest:
            return True
        await self.confirm_all()
        return False

    async def compare(self, named: Collection[Lease], now: datetime) -> list[Lease]:
        """Compare with the worker's list and take back jobs that it does not run. Returns the leases that it
        names and the session does not hold."""
        held = await self._store.leases(self._session.session_id)
        unnamed = {i: (token, version) for i, (token, version) in held.items() if (i, token) not in named}
        missing: dict[str, Doubt] = {}

        def change(known: Doubts) -> Doubts:
            """Named leases are confirmed. For the others, record since when they are missing."""
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
