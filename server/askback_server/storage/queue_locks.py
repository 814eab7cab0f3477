"""Locks on queues that have a limit: one row per queue, acquired by a guarded upsert."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from askback_server.domain.jobs import JobState
from askback_server.ports.clock import uuid7
from askback_server.ports.queue_locks import SETTLE_SECONDS, QueueLock
from askback_server.storage.dialect import Dialect
from askback_server.storage.replica_tables import queue_locks
from askback_server.storage.tables import jobs

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class QueueLockStore:
    """The QueueLocks port. All times are the database's."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    async def acquire(self, namespace: str, job_type: str, maximum: int, lasts: float) -> QueueLock | None:
        """Acquire the lock if it is free or has expired, then count the running jobs. None if it is held."""
        lock_id = uuid7()
        row: Any = _INSERT[self._dialect.name](queue_locks).values(
            namespace=namespace, job_type=job_type, lock_id=lock_id, until=self._dialect.later(lasts)
        )
        taken = row.on_conflict_do_update(
            index_elements=[queue_locks.c.namespace, queue_locks.c.job_type],
            set_={"lock_id": row.excluded.lock_id, "until": row.excluded.until},
            where=queue_locks.c.until <= self._dialect.later(-SETTLE_SECONDS),
        ).returning(queue_locks.c.until)
        # A second statement, once the lock is ours: leases of earlier holders are committed by now.
        few = (
            sa.select(sa.literal(1).label("one"))
            .where(
                jobs.c.session_id.is_not(None),
                jobs.c.namespace == namespace,
                jobs.c.job_type == job_type,
                jobs.c.status == JobState.RUNNING,
            )
            .limit(maximum)
            .subquery()
        )
        count = sa.select(sa.func.count()).select_from(few)

        def work(connection: sa.Connection) -> tuple[datetime, int] | None:
            until = connection.execute(taken).scalar_one_or_none()
            return (until, connection.execute(count).scalar_one()) if until is not None else None

        found = await self._dialect.run(work)
        return QueueLock(lock_id, *found) if found is not None else None

    async def release(self, lock: QueueLock) -> None:
        """Release the lock. One that expired and was acquired by another replica is not changed."""
        statement = sa.delete(queue_locks).where(queue_locks.c.lock_id == lock.lock_id)
        await self._dialect.run(lambda connection: connection.execute(statement).rowcount)
