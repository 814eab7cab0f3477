"""Worker sessions: one heartbeat row for all jobs of a worker (etcd's lease model)."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any, TypeVar

import sqlalchemy as sa

from askback_server.domain.aggregate import ANY_EPOCH
from askback_server.domain.commands import SessionRef
from askback_server.ports.clock import uuid7
from askback_server.ports.worker_sessions import Doubt, Doubts, WorkerSession
from askback_server.storage.dialect import Dialect
from askback_server.storage.reader import MOST, Reader, named
from askback_server.storage.rounds import Rounds
from askback_server.storage.session_calls import DoubtChange, Extension, Opening, Resumption, SessionCall
from askback_server.storage.tables import jobs, sessions

AT_ONCE = 256
"""Sessions that one transaction opens or changes. Other writes must run in between."""


C = TypeVar("C", bound=SessionCall)
V = TypeVar("V")


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


@cache
def _epochs(kind: type[Dialect]) -> sa.Select[Any]:
    living = sessions.c.expires_at > kind.time("now")
    mine = kind.among_array(sessions.c.session_id, "ids")
    return sa.select(sessions.c.session_id, sessions.c.epoch).where(mine, living)


_LEASES = sa.select(jobs.c.job_id, jobs.c.token, jobs.c.version).where(
    jobs.c.session_id == named("session_id", jobs.c.session_id)
)


@cache
def _with_doubts(kind: type[Dialect]) -> sa.Select[Any]:
    """The first sessions that have expired and have doubts."""
    return (
        sa.select(sessions.c.session_id, sessions.c.doubts)
        .where(sessions.c.expires_at <= kind.time("now"), sessions.c.doubts.is_not(None))
        .limit(MOST)
    )


class Sessions(Reader):
    """The SessionStore port. All times are the database's. An expired session cannot be resumed."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._openings = Rounds(self._open_all, AT_ONCE)
        self._resumptions = Rounds(partial(self._run_all, self._resume_all), AT_ONCE)
        self._extensions = Rounds(partial(self._run_all, self._extend_all), AT_ONCE)
        self._doubt_changes = Rounds(partial(self._run_all, self._change_all_doubts), AT_ONCE)

    async def _run_all(
        self, work: Callable[[sa.Connection, Sequence[C]], dict[str, V]], calls: Sequence[C]
    ) -> list[V | None]:
        """The results of calls by workers that come at the same time, in as few transactions as possible.

        `work` gets at most one call for each session, all with the same `shared`. It skips the sessions that
        another transaction has locked, and returns results by session id. What is left runs alone, because a
        transaction that waits for a lock must not have others: it could be part of a deadlock.
        """
        first = {c.session_id: c for c in reversed(calls) if c.shared == calls[0].shared}
        found = await self._dialect.run(lambda connection: work(connection, list(first.values())))
        if len(calls) == 1:
            return [found.get(calls[0].session_id)]
        return [
            found[call.session_id]
            if call is first.get(call.session_id) and call.session_id in found
            else (await self._run_all(work, [call]))[0]
            for call in calls
        ]

    async def open(
        self, namespace: str, worker_id: str, subject: str, replica: str, ttl: float
    ) -> tuple[WorkerSession, str]:
        """Create a session. Returns it with its secret, which is stored as a hash only.

        Workers that come at the same time share a transaction, as with `resume`.
        """
        return await self._openings.call(Opening(namespace, worker_id, subject, replica, ttl))

    async def _open_all(self, wanted: Sequence[Opening]) -> list[tuple[WorkerSession, str]]:
        found: list[tuple[WorkerSession, str]] = await self._dialect.run(
            lambda connection: [self._open_one(connection, each) for each in wanted]
        )
        return found

    def _open_one(self, connection: sa.Connection, wanted: Opening) -> tuple[WorkerSession, str]:
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
        call = Resumption(session_id, secret, subject, (replica, ttl))
        return await self._resumptions.call(call)

    def _resume_all(self, connection: sa.Connection, calls: Sequence[Resumption]) -> dict[str, WorkerSession]:
        known = self._known(connection, calls)
        if not known:
            return {}
        # Waits for writes of the older epoch, or skips its session: they have locked its key.
        mine = self._select(known).with_for_update(skip_locked=len(calls) > 1)
        replica, ttl = calls[0].shared
        statement = (
            sa.update(sessions)
            .where(sessions.c.session_id.in_(mine), sessions.c.expires_at > self._dialect.now())
            .values(
                replica=replica,
                epoch=sessions.c.epoch + 1,
                expires_at=self._dialect.later(ttl),
                doubts=None,  # the hello lists the jobs that the worker has
            )
            .returning(sessions)
        )
        return {row["session_id"]: _to_session(row) for row in connection.execute(statement).mappings()}

    def _select(self, session_ids: Sequence[str], *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """The ids, and further columns, of those of the sessions that exist."""
        mine = self._dialect.among(sessions.c.session_id, session_ids)
        return sa.select(sessions.c.session_id, *columns).where(mine)

    def _known(
        self, connection: sa.Connection, calls: Sequence[Resumption] | Sequence[Extension]
    ) -> list[str]:
        """The ids of those sessions whose secret and subject are right."""
        by_id = {call.session_id: call for call in calls}
        right = []
        statement = self._select(list(by_id), sessions.c.secret_hash, sessions.c.subject)
        for session_id, secret_hash, owner in connection.execute(statement):
            call = by_id[session_id]
            if call.subject == owner and hmac.compare_digest(secret_hash, _hash(call.secret)):
                right.append(session_id)
        return right

    async def extend(self, session_id: str, secret: str, subject: str, ttl: float) -> datetime | None:
        """Extend a session without taking it over. Returns its new expiry; None if it has expired.

        Workers that come at the same time share a transaction.
        """
        return await self._extensions.call(Extension(session_id, secret, subject, ttl))

    def _extend_all(self, connection: sa.Connection, calls: Sequence[Extension]) -> dict[str, datetime]:
        known = self._known(connection, calls)
        if not known:
            return {}
        # Does not wait for writes that have locked the session's key.
        mine = self._select(known).with_for_update(key_share=True, skip_locked=len(calls) > 1)
        statement = (
            sa.update(sessions)
            .where(sessions.c.session_id.in_(mine), sessions.c.expires_at > self._dialect.now())
            .values(expires_at=self._dialect.later(calls[0].shared))
            .returning(sessions.c.session_id, sessions.c.expires_at)
        )
        return {row[0]: row[1] for row in connection.execute(statement)}

    async def change_doubts(self, session: SessionRef, change: Callable[[Doubts], Doubts]) -> None:
        """Replace the doubts of a session in this epoch (0: any), in one transaction.

        Workers that come at the same time share it.
        """
        await self._doubt_changes.call(DoubtChange(session.session_id, session.epoch, change))

    def _change_all_doubts(self, connection: sa.Connection, calls: Sequence[DoubtChange]) -> dict[str, None]:
        by_id = {call.session_id: call for call in calls}
        statement = (
            self._select(list(by_id), sessions.c.epoch, sessions.c.doubts)
            .where(sessions.c.expires_at > self._dialect.now())
            .with_for_update(key_share=True, skip_locked=len(calls) > 1)
        )
        found: dict[str, None] = {}
        changed = []
        for session_id, epoch, doubts in connection.execute(statement):
            found[session_id] = None
            if by_id[session_id].epoch in (ANY_EPOCH, epoch):
                before = _to_doubts(doubts)
                after = by_id[session_id].change(before)
                if after != before:
                    changed.append({"id": session_id, "after": _from_doubts(after)})
        if changed:
            mine = sessions.c.session_id == sa.bindparam("id")
            connection.execute(sa.update(sessions).where(mine).values(doubts=sa.bindparam("after")), changed)
        return found

    async def list_expired_doubts(self, limit: int) -> list[tuple[str, Doubts]]:
        """Expired sessions that have doubts."""
        given = self._dialect.give_time("now")
        found = await self._look_up(_with_doubts(type(self._dialect)), most=limit, **given)
        return [(r["session_id"], _to_doubts(r["doubts"])) for r in found]

    async def settle(self, session_id: str) -> None:
        """Clear the doubts of an expired session, so that `reap` may delete it."""
        statement = sa.update(sessions).where(sessions.c.session_id == session_id).values(doubts=None)
        await self._dialect.run(lambda c: c.execute(statement).rowcount)

    async def epochs(self, session_ids: Sequence[str]) -> dict[str, int]:
        """The epochs of those sessions that have not expired."""
        given = self._dialect.give_time("now")
        found = await self._look_up(_epochs(type(self._dialect)), ids=session_ids, **given)
        return {r["session_id"]: r["epoch"] for r in found}

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
        found = await self._look_up(_LEASES, session_id=session_id)
        return {r["job_id"]: (r["token"], r["version"]) for r in found}
