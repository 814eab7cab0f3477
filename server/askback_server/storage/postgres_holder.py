"""Find the transaction that holds back the horizon of the feed."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.ports.storage import Holder

# Only transactions that have written hold it back, in any database of the cluster. Their start time is
# visible to their own role and to roles with pg_read_all_stats.
_HOLDER = """
SELECT coalesce(pid, 0) AS pid, coalesce(gid, '') AS prepared, coalesce(datname, '') AS database,
       coalesce(usename, '') AS "user", coalesce(application, '') AS application,
       extract(epoch FROM clock_timestamp() - began)::float8 AS age
FROM (SELECT pid, NULL AS gid, datname, usename, application_name AS application, xact_start AS began,
             backend_xid AS xid
      FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
      UNION ALL
      SELECT NULL, gid, database, owner, NULL, prepared, transaction FROM pg_prepared_xacts) AS holders
ORDER BY age(xid) DESC LIMIT 1
"""


def find_holder(connection: sa.Connection) -> Holder | None:
    """The session or prepared transaction with the oldest transaction id; None if it has just ended."""
    found = connection.execute(sa.text(_HOLDER)).mappings().one_or_none()
    return Holder(**found) if found is not None else None
