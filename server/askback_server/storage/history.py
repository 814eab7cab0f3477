"""The history of a database: the order of its commits, on which resume tokens and the feed depend.

A restore ends one history and begins another, because tokens of the old one may name lost commits. On
PostgreSQL the log also holds the ids of the transactions that wrote it. They mean nothing in another
cluster: the feed would wait for ids that the cluster has not reached yet.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from askback_server.storage.settings import CHECKPOINTED, COUNTED, NOTHING_COUNTED, get_setting, put_setting
from askback_server.storage.tables import settings

_BEFORE_ALL = "UPDATE job_events SET xid = '3'"
"""Below every transaction id; the column `id` keeps the order within a job."""
_NOT_REACHED = """
SELECT EXISTS (SELECT 1 FROM job_events WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()))
"""


def end_history(connection: sa.Connection, name: str) -> None:
    """Start a new history if the current one is still `name`: commits were lost, old tokens are refused."""
    connection.execute(
        sa.update(settings)
        .where(settings.c.name == "feed_epoch", settings.c.value == name)
        .values(value=secrets.token_hex(8))
    )


def begin_history(connection: sa.Connection) -> None:
    """Prepare a restored database for a service. No service may run on it meanwhile."""
    put_setting(connection, "feed_epoch", secrets.token_hex(8))
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_BEFORE_ALL)
        put_setting(connection, "feed_tail", "0:0")
        for mark in (COUNTED, CHECKPOINTED):
            _keep_mark(connection, mark)


def _keep_mark(connection: sa.Connection, name: str) -> None:
    """Let a reader of the log by position go on where it was: events keep their ids. Those of transactions
    that ran at the same time as the last one read may be read twice or not at all."""
    _, _, rest = (get_setting(connection, name) or NOTHING_COUNTED).partition(":")
    put_setting(connection, name, f"3:{rest}")


def check_history(connection: sa.Connection) -> str:
    """A message that says why the feed cannot read the log on PostgreSQL; empty if it can."""
    if connection.exec_driver_sql(_NOT_REACHED).scalar_one():
        return (
            "the database was restored from another PostgreSQL cluster: its log names transactions that this "
            "one has not had; run `askback migrate --after-restore` once, with no service running"
        )
    return ""
