"""A few named values that belong to a database and not to a replica."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.storage.tables import settings


def get_setting(connection: sa.Connection, name: str) -> str | None:
    """A value, or None."""
    value: str | None = connection.execute(
        sa.select(settings.c.value).where(settings.c.name == name)
    ).scalar_one_or_none()
    return value


def put_setting(connection: sa.Connection, name: str, value: str) -> None:
    """Set a value."""
    changed = connection.execute(
        sa.update(settings).where(settings.c.name == name).values(value=value)
    ).rowcount
    if not changed:
        connection.execute(sa.insert(settings).values(name=name, value=value))


def touch_settings(connection: sa.Connection) -> None:
    """Write a value that is there as it is: it shows whether anything can be written."""
    connection.execute(sa.update(settings).values(value=settings.c.value))
