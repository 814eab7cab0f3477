"""Which PostgreSQL server is the primary, as far as this replica knows.

After a failover the old primary may live on: restarted as a standby behind the same address, or cut off
and still writable. Every new connection is therefore asked who serves it. One that a standby serves is
refused. One to a newer server than before makes every older connection stale, so that no pool keeps
reading where commits no longer arrive.
"""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import asyncpg

from askback_server.domain.errors import StorageUnavailable

log = logging.getLogger(__name__)

Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_WHO = """
SELECT pg_is_in_recovery() AS standby,
       pg_postmaster_start_time() AS started,
       (SELECT system_identifier FROM pg_control_system()) AS system,
       CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline
"""
_WHO_AT_LEAST = """
SELECT pg_is_in_recovery() AS standby, pg_postmaster_start_time() AS started,
       NULL::bigint AS system, NULL::text AS timeline
"""
"""Where the control data and the log's position may not be read, as at some hosting services."""

_NOT_SHOWN = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedFunctionError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)


@dataclass(frozen=True, slots=True)
class Instance:
    """One start of one server."""

    started: datetime
    system: int | None
    """Chosen by initdb; kept by standbys and by physical copies."""
    timeline: int
    """Rises with every promotion and every recovery; 0 if it cannot be read."""

    def is_behind(self, other: Instance) -> bool:
        """Whether the other server took over from this one."""
        return self.system is not None and self.system == other.system and self.timeline < other.timeline


class Primary:
    """Admits connections to the primary, and counts how often it was another server than before."""

    def __init__(self) -> None:
        self.generation = 0
        self._instance: Instance | None = None
        self._watched: weakref.WeakSet[Driver] = weakref.WeakSet()

    async def admit(self, connection: Driver) -> int:
        """Ask a new connection who serves it. Returns the generation that it belongs to.

        Raises StorageUnavailable if that is a standby, or a server that another one has taken over from.
        """
        found = await self._ask(connection)
        known = self._instance
        if known is not None and found.is_behind(known):
            raise StorageUnavailable(
                f"this PostgreSQL is on timeline {found.timeline} and another server took over on timeline "
                f"{known.timeline}; waiting until the address leads to that one"
            )
        if known is not None and found != known:
            self.generation += 1
            log.warning("PostgreSQL is served by another process than before; older connections are closed")
            for other in tuple(self._watched):
                other.terminate()
            self._watched.clear()
        self._instance = found
        return self.generation

    async def _ask(self, connection: Driver) -> Instance:
        try:
            row = await connection.fetchrow(_WHO)
        except _NOT_SHOWN:
            row = await connection.fetchrow(_WHO_AT_LEAST)
        assert row is not None
        if row["standby"]:
            raise StorageUnavailable(
                "this PostgreSQL is a standby; the database URL must lead to the primary"
            )
        return Instance(row["started"], row["system"], int(row["timeline"] or "0", 16))

    def watch(self, connection: Driver) -> None:
        """Close this connection as soon as the primary is another server."""
        self._watched.add(connection)
