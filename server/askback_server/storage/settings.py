"""A few named values that belong to the database, not to a replica."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.storage.tables import settings

COUNTED = "counted"
"""Name of the setting that says how far the log is counted: xid, id and time, separated by colons."""
NOTHING_COUNTED = "0:0:"
CHECKPOINTED = "checkpointed"
"""Name of the setting that says how far checkpoints cover the log, in the same form; its time is that of the
last ones."""


def get_setting(connection: sa.Connection, name: str) -> str | None:
    """The value of a setting, or None."""
    value: str | None = connection.execute(
        sa.select(settings.c.value).where(settings.c.name == name)
    ).scalar_one_or_none()
    return value


def put_setting(connection: sa.Connection, name: str, value: str) -> None:
    """Insert or replace a setting."""
    changed = connection.execute(
        sa.update(settings).where(settings.c.name == name).values(value=value)
    ).rowcount
    if not changed:
        connection.execute(sa.insert(settings).values(name=name, value=value))


def touch_settings(connection: sa.Connection) -> None:
    """Rewrite an existing setting unchanged, to check that the database takes writes."""
    connection.execute(sa.update(settings).values(value=settings.c.value))
