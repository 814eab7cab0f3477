"""Worker sessions: one heartbeat row for all jobs of a worker (etcd's lease model)."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from askback_server.domain.aggregate import ANY_EPOCH
from askback_server.domain.commands import SessionRef
from askback_server.ports.clock import uuid7
from askback_server.ports.worker_sessions import Doubt, Doubts, WorkerSession
from askback_server.storage.dialect import Dialect
from askback_server.storage.reader import Reader
from askback_server.storage.rounds import Rounds
from askback_server.storage.tables import jobs, sessions

OPENED_AT_ONCE = 256
"""Sessions that one transaction opens or resumes. Other writes must run in between."""


class _Opening(NamedTuple):
    """The arguments of `open`."""

    namespace: str
    worker_id: str
    subject: str
    replica: str
    ttl: float


class _Resumption(NamedTuple):
    """The arguments of `resume`."""

    session_id: str
    secret: str
    subject: str
    replica: str
    ttl: float


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _to_session(row: Any) -> WorkerSession:
    return WorkerSession(
        row["session_id"],
        row["namespace"],
        row["worker_id"],
        row["subject"],
        row["replica"],
        row["epoch"],
        row["expires_at"],
    )


def _to_doubts(text: str | None) -> Doubts:
    return {job_id: Doubt(*fields) for job_id, fields in json.loads(text or "{}").items()}


def _from_doubts(doubts: Doubts) -> str | None:
    fields = {job_id: [d.token, d.version, d.since] for job_id, d in doubts.items()}
    return json.dumps(fields) if fields else None


class Sessions(Reader):
    """The SessionStore port. All times are the database's. An expired session cannot be resumed."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._openings = Rounds(self._open_all, OPENED_AT_ONCE)
        self._resumptions = Rounds(self._resume_all, OPENED_AT_ONCE)

    async def open(
        self, namespace: str, worker_id: str, subject: str, replica: str, ttl: float
    ) -> tuple[WorkerSession, str]:
        """Create a session. Returns it with its secret, which is stored as a hash only.

        Workers that come at the same time share a transaction, as with `resume`.
        """
        return await self._openings.call(_Opening(namespace, worker_id, subject, replica, ttl))

    async def _open_all(self, wanted: Sequence[_Opening]) -> list[tuple[WorkerSession, str]]:
        found: list[tuple[WorkerSession, str]] = await self._dialect.run(
            lambda connection: [self._open_one(connection, each) for each in wanted]
        )
        return found

    def _open_one(self, connection: sa.Connection, wanted: _Opening) -> tuple[WorkerSession, str]:
        secret = secrets.token_urlsafe(24)
        statement = (
            sa.insert(sessions)
            .values(
                session_id=uuid7(),
                namespace=wanted.namespace,
                worker_id=wanted.worker_id,
                subject=wanted.subject,
                secret_hash=_hash(secret),
                replica=wanted.replica,
                epoch=1,
                created_at=self._dialect.now(),
                expires_at=self._dialect.later(wanted.ttl),
            )
            .returning(sessions)
        )
        return _to_session(connection.execute(statement).mappings().one()), secret

    async def resume(
        self, session_id: str, secret: str, subject: str, replica: str, ttl: float
    ) -> WorkerSession | None:
        """Take over a session that has not expired: its epoch increases, and writes of older epochs are
        refused.

        Waits for writes of the older epoch that are about to commit, so that `list_held` finds their jobs.
        Workers that come at the same time share a transaction.
        """
        return await self._resumptions.call(_Resumption(session_id, secret, subject, replica, ttl))

    async def _resume_all(self, wanted: Sequence[_Resumption]) -> list[WorkerSession | None]:
        first = {each.session_id: each for each in reversed(wanted) if each[3:] == wanted[0][3:]}
        rows = await self._dialect.run(lambda c: self._resume_unlocked(c, list(first.values())))
        if len(wanted) == 1:
            return [rows.get(wanted[0].session_id)]
        # The others alone: each that takes the same session has an epoch of its own, and one that waits for a
        # lock must not have others meanwhile, or it could be part of a deadlock.
        return [
            rows[each.session_id]
            if each is first.get(each.session_id) and each.session_id in rows
            else (await self._resume_all([each]))[0]
            for each in wanted
        ]

    def _resume_unlocked(
        self, connection: sa.Connection, wanted: Sequence[_Resumption]
    ) -> dict[str, WorkerSession]:
        """Resume those sessions that are not locked. A single one waits for its lock."""
        known = self._known(connection, {each.session_id: (each.secret, each.subject) for each in wanted})
        if not known:
            return {}
        among, first = self._dialect.among, wanted[0]
        mine = sa.select(sessions.c.session_id).where(among(sessions.c.session_id, known))
        statement = (
            sa.update(sessions)
            .where(
                sessions.c.session_id.in_(mine.with_for_update(skip_locked=len(wanted) > 1)),
                sessions.c.expires_at > self._dialect.now(),
            )
            .values(
                replica=first.replica,
                epoch=sessions.c.epoch + 1,
                expires_at=self._dialect.later(first.ttl),
                doubts=None,  # the hello lists the jobs that the worker has
            )
            .returning(sessions)
        )
        return {row["session_id"]: _to_session(row) for row in connection.execute(statement).mappings()}

    def _known(self, connection: sa.Connection, wanted: Mapping[str, tuple[str, str]]) -> list[str]:
        """The ids of those sessions whose secret and subject are right."""
        columns = sessions.c.session_id, sessions.c.secret_hash, sessions.c.subject
        statement = sa.select(*columns).where(self._dialect.among(sessions.c.session_id, list(wanted)))
        right = []
        for session_id, secret_hash, owner in connection.execute(statement):
            secret, subject = wanted[session_id]
            if subject == owner and hmac.compare_digest(secret_hash, _hash(secret)):
                right.append(session_id)
        return right

    async def extend(self, session_id: str, secret: str, subject: str, ttl: float) -> datetime | None:
        """Extend a session without taking it over. Returns its new expiry; None if it has expired."""

        def work(connection: sa.Connection) -> Any:
            if not self._known(connection, {session_id: (secret, subject)}):
                return None
            return connection.execute(self._extension(session_id, ttl)).scalar_one_or_none()

        at: datetime | None = await self._dialect.run(work)
        return at

    def _extension(self, session_id: str, ttl: float) -> Any:
        return (
            sa.update(sessions)
            .where(sessions.c.session_id == session_id, sessions.c.expires_at > self._dialect.now())
            .values(expires_at=self._dialect.later(ttl))
            .returning(sessions.c.expires_at)
        )

    async def change_doubts(self, session: SessionRef, change: Callable[[Doubts], Doubts]) -> None:
        """Replace the doubts of a session in this epoch (0: any), in one transaction."""
        lives = [
            sessions.c.session_id == session.session_id,
            sessions.c.expires_at > self._dialect.now(),
        ]
        if session.epoch != ANY_EPOCH:
            lives.append(sessions.c.epoch == session.epoch)

        def work(connection: sa.Connection) -> None:
            row = connection.execute(
                sa.select(sessions.c.doubts).where(*lives).with_for_update()
            ).one_or_none()
            if row is None:
                return
            before = _to_doubts(row[0])
            after = change(before)
            if after != before:
                mine = sessions.c.session_id == session.session_id
                connection.execute(sa.update(sessions).where(mine).values(doubts=_from_doubts(after)))

        await self._dialect.run(work)

    async def list_expired_doubts(self, limit: int) -> list[tuple[str, Doubts]]:
        """Expired sessions that have doubts."""
        statement = (
            sa.select(sessions.c.session_id, sessions.c.doubts)
            .where(sessions.c.expires_at <= self._dialect.now(), sessions.c.doubts.is_not(None))
            .limit(limit)
        )
        return [(r["session_id"], _to_doubts(r["doubts"])) for r in await self._all(statement)]

    async def settle(self, session_id: str) -> None:
        """Clear the doubts of an expired session, so that `reap` may delete it."""
        statement = sa.update(sessions).where(sessions.c.session_id == session_id).values(doubts=None)
        await self._dialect.run(lambda c: c.execute(statement).rowcount)

    async def epochs(self, session_ids: Sequence[str]) -> dict[str, int]:
        """The epochs of those sessions that have not expired."""
        statement = sa.select(sessions.c.session_id, sessions.c.epoch).where(
            self._dialect.among(sessions.c.session_id, session_ids),
            sessions.c.expires_at > self._dialect.now(),
        )
        return {r["session_id"]: r["epoch"] for r in await self._all(statement)}

    async def beat(self, held: Sequence[tuple[str, int]], ttl: float) -> dict[str, datetime]:
        """Extend those (session, epoch) pairs that have not expired, in one statement."""
        if not held:
            return {}
        mine = self._dialect.marks(dict(held))
        same = sa.and_(mine.c.job_id == sessions.c.session_id, mine.c.after == sessions.c.epoch)
        statement = (
            sa.update(sessions)
            .where(
                self._dialect.among(sessions.c.session_id, [session_id for session_id, _ in held]),
                sa.exists(sa.select(sa.literal(1)).select_from(mine).where(same).correlate(sessions)),
                sessions.c.expires_at > self._dialect.now(),
            )
            .values(expires_at=self._dialect.later(ttl))
            .returning(sessions.c.session_id, sessions.c.expires_at)
        )
        found = await self._dialect.run(lambda c: c.execute(statement).all())
        return {r[0]: r[1] for r in found}

    async def close(self, session_id: str, epoch: int) -> bool:
        """Delete a session whose worker has said goodbye."""
        statement = sa.delete(sessions).where(sessions.c.session_id == session_id, sessions.c.epoch == epoch)
        count: int = await self._dialect.run(lambda c: c.execute(statement).rowcount)
        return count == 1

    async def reap(self) -> int:
        """Delete expired sessions without doubts. Orphan recovery then finds their jobs."""
        over = sa.select(sessions.c.session_id).where(
            sessions.c.expires_at <= self._dialect.now(), sessions.c.doubts.is_(None)
        )
        # Sessions with a write in progress are left for the next run.
        over = over.with_for_update(skip_locked=True)
        statement = sa.delete(sessions).where(sessions.c.session_id.in_(over))
        count: int = await self._dialect.run(lambda c: c.execute(statement).rowcount)
        return count

    async def leases(self, session_id: str) -> dict[str, tuple[int, int]]:
        """The jobs that a session holds: token and version by job id."""
        columns = (jobs.c.job_id, jobs.c.token, jobs.c.version)
        statement = sa.select(*columns).where(jobs.c.session_id == session_id)
        return {r["job_id"]: (r["token"], r["version"]) for r in await self._all(statement)}
