"""The lock that lets one migration run at a time on PostgreSQL, and who holds a lock that it waits for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.outages import LOCKED, state_of

_log = logging.getLogger("askback.server.storage")

T = TypeVar("T")

_LOCK = 0x61736B6D
"""Key of the advisory lock. Alembic takes no lock, and replicas may start together."""
_TABLE_LOCK = "5s"
"""Writers hold table locks for milliseconds; while a migration waits longer, all writers queue behind it."""
_PAUSE_SECONDS = 0.25
"""Seconds between two attempts."""

_HOLDERS = """
SELECT a.pid, coalesce(a.application_name, '') AS application, coalesce(a.usename, p.owner, '') AS "user",
       coalesce(host(a.client_addr), 'local') AS address, coalesce(a.state, 'unknown') AS state, p.gid,
       coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change, p.prepared)),
                0)::int AS age
FROM pg_locks l
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_locks own ON l.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid'
     AND own.virtualtransaction = l.virtualtransaction
LEFT JOIN pg_prepared_xacts p ON p.transaction = own.transactionid
WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() AND (a.pid IS NOT NULL OR p.gid IS NOT NULL)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND CASE WHEN l.locktype = 'advisory' THEN l.classid = 0 AND l.objid = :key AND l.objsubid = 1
           ELSE l.locktype = 'relation' AND NOT :advisory AND l.relation IN
                (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace) END
ORDER BY coalesce(a.xact_start, p.prepared) NULLS LAST LIMIT 1
"""
"""Includes prepared transactions, which keep their locks without a session."""


def upgrade_under_lock(connection: sa.Connection, work: Callable[[], T], wait: float) -> T:
    """Run `work`, which makes its own transactions, under the migration lock, and return its result.

    Retries for `wait` seconds while another migration or a reader of a table blocks it. Raises
    StorageUnavailable then, naming the session that holds the lock. The connection keeps the lock until it
    is closed: an index is made outside of transactions.
    """
    end = time.monotonic() + wait
    said = False
    while True:
        try:
            connection.execute(sa.text(f"SET lock_timeout = '{_TABLE_LOCK}'"))
            taken = connection.execute(sa.text("SELECT pg_try_advisory_lock(:id)"), {"id": _LOCK})
            is_taken = taken.scalar_one()
            connection.commit()
            if is_taken:
                return work()
            what, advisory = "another migration", True
        except sa.exc.DBAPIError as error:
            if state_of(error) != LOCKED:
                raise
            what, advisory = "a table that is in use", False
        finally:
            connection.rollback()
        holder = _holder(connection, advisory)
        if time.monotonic() >= end:
            raise StorageUnavailable(f"waited {wait:g} s for {what}{holder}; end it, or allow more by --wait")
        if not said:
            said = True
            _log.warning("waiting for %s%s", what, holder)
        time.sleep(_PAUSE_SECONDS)


def _holder(connection: sa.Connection, advisory: bool) -> str:
    """A phrase that names the oldest session or prepared transaction holding the migration lock (`advisory`)
    or a table; empty if it has ended."""
    values = {"key": _LOCK, "advisory": advisory}
    found = connection.execute(sa.text(_HOLDERS), values).mappings().one_or_none()
    connection.rollback()
    if found is None:
        return ""
    if found["gid"] is not None:
        return (
            f", held by the prepared transaction {found['gid']!r} (user {found['user']}, for {found['age']} s"
            "; COMMIT PREPARED or ROLLBACK PREPARED ends it)"
        )
    return (
        f", held by process {found['pid']} ({found['application'] or 'unnamed'}, user {found['user']}, from "
        f"{found['address']}, {found['state']} for {found['age']} s)"
    )
