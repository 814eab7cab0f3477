"""Recognises a pooler that gives each transaction another server connection.

Behind one (PgBouncer with `pool_mode = transaction` or `statement`) LISTEN hears nothing, prepared
statements and settings vanish or meet those of other clients, and session locks are left to strangers.
Askback refuses to run there. A pooler that gives each client a connection of its own
(`pool_mode = session`) is fine.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.outages import BROKEN, state_of
from askback_server.storage.primary import Driver

REFUSED = (
    "the database URL leads to a pooler in transaction mode or statement mode, and Askback needs a server "
    "connection for each of its own: set pool_mode = session for this database there, or let --db lead to "
    "PostgreSQL itself"
)
ROUNDS = 3
_WHO = "SELECT pg_backend_pid()"
_SHARED = ("26000", "42P05")
"""SQLSTATEs: a prepared statement is gone, or is another client's, perhaps of one that ran earlier."""
_EACH_ALONE = "statement pooling mode"
"""What PgBouncer says to a transaction with `pool_mode = statement`."""

Own = Callable[[str], AbstractAsyncContextManager[Driver]]


async def refuse_shared_connections(own: Own) -> None:
    """Raise StorageUnavailable if two clients are served by one server process, or one client by two.

    `own` opens a connection under a name. Raises what asyncpg raises for a server that is away.
    """
    mine: set[int] = set()
    others: set[int] = set()
    try:
        async with own("askback probe") as one, own("askback probe") as other:
            for _ in range(ROUNDS):
                # Twice: a pooler that takes its connections in turn gives two of them.
                mine.add(await one.fetchval(_WHO))
                mine.add(await one.fetchval(_WHO))
                # While this transaction lasts, the pooler must give the first client another connection.
                async with other.transaction():
                    others.add(await other.fetchval(_WHO))
                    mine.add(await one.fetchval(_WHO))
    except BROKEN as error:  # the first statement of a connection may meet what SQLAlchemy wraps
        if state_of(error) in _SHARED or _EACH_ALONE in str(error):
            raise StorageUnavailable(REFUSED) from error
        raise
    if len(mine) > 1 or len(others) > 1 or mine & others:
        raise StorageUnavailable(REFUSED)
