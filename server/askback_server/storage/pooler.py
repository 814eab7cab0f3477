"""Detect a pooler that assigns a server connection per transaction.

Behind one (PgBouncer with `pool_mode = transaction` or `statement`) LISTEN receives nothing, prepared
statements and settings get lost or collide with those of other clients, and session locks stay with other
clients. Askback refuses to run there. A pooler that assigns a connection per client (`pool_mode = session`)
is fine.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.outages import BROKEN, state_of
from askback_server.storage.primary import Driver

REFUSED = (
    "the database URL leads to a pooler in transaction mode or statement mode, and Askback needs a server "
    "connection for each of its own: set pool_mode = session for this database there, or let --db lead to "
    "PostgreSQL itself"
)
PROBE_ROUNDS = 3
_WHO = "SELECT pg_backend_pid()"
_SHARED = ("26000", "42P05")
"""SQLSTATEs: a prepared statement does not exist, or was prepared by another client."""
_EACH_ALONE = "statement pooling mode"
"""The error of PgBouncer for a transaction under `pool_mode = statement`."""

Connecting = AbstractAsyncContextManager[Driver]


async def refuse_shared_connections(first: Connecting, second: Connecting) -> None:
    """Raise StorageUnavailable if one server process serves two clients, or two processes serve one client.

    Opens both connections. Errors of asyncpg for an unavailable server pass through.
    """
    mine: set[int] = set()
    others: set[int] = set()
    try:
        async with first as one, second as other:
            for _ in range(PROBE_ROUNDS):
                # Twice: a pooler that uses its connections in turn gives two of them.
                mine.add(await one.fetchval(_WHO))
                mine.add(await one.fetchval(_WHO))
                # During this transaction the pooler must give the first client another connection.
                async with other.transaction():
                    others.add(await other.fetchval(_WHO))
                    mine.add(await one.fetchval(_WHO))
    except BROKEN as error:  # the first statement of a connection may raise what SQLAlchemy wraps
        if state_of(error) in _SHARED or _EACH_ALONE in str(error):
            raise StorageUnavailable(REFUSED) from error
        raise
    if len(mine) > 1 or len(others) > 1 or mine & others:
        raise StorageUnavailable(REFUSED)
