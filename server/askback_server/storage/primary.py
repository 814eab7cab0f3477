"""Which PostgreSQL server is the primary, as far as this replica knows.

After a failover the old primary may still run: restarted as a standby behind the same address, or cut off and
still writable. So every new connection is checked for the server behind it. A standby is refused. A newer
server than before makes all older connections stale, so that no pool keeps reading from a server that gets no
commits.
"""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import asyncpg

from askback_server.domain.errors import StorageUnavailable

_log = logging.getLogger("askback.server.storage")

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
"""SQLSTATEs for missing permission to read control data and WAL position, as with some hosting providers."""

_NOT_SHOWN = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedFunctionError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)


@dataclass(frozen=True, slots=True)
class Instance:
    """One server, from one start to its end."""

    started: datetime
    system: int | None
    """Chosen by initdb, and the same on standbys and physical copies."""
    timeline: int
    """Increases with every promotion and recovery; 0 if it cannot be read."""

    def is_behind(self, other: Instance) -> bool:
        """Whether the other server has taken over from this one."""
        return self.system is not None and self.system == other.system and self.timeline < other.timeline


class Primary:
    """Admits connections to the primary only, and counts how often the primary changed."""

    def __init__(self) -> None:
        self.generation = 0
        self._instance: Instance | None = None
        self._watched: weakref.WeakSet[Driver] = weakref.WeakSet()

    async def admit(self, connection: Driver) -> int:
        """Check the server behind a new connection. Returns the generation of the connection.

        Raises StorageUnavailable for a standby, and for a server from which another one has taken over.
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
            _log.warning("PostgreSQL is served by another process than before; older connections are closed")
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
        """Close this connection as soon as another server is the primary."""
        self._watched.add(connection)
