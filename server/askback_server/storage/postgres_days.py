"""The day partitions of `job_events` on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

DAYS_AHEAD = 7
_LOCK = 0x61736B62
"""Advisory lock for changes of partitions, because replicas sweep at the same time."""


def _name(day: datetime) -> str:
    return f"job_events_{day:%Y%m%d}"


def make_days(connection: sa.Connection) -> None:
    """Create the missing partitions of today and the coming days."""
    _lock(connection)
    now: datetime = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    known = set(_partitions(connection))
    for offset in range(-1, DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        if _name(day) not in known:
            # Created as a table and then attached: CREATE … PARTITION OF would block all writers.
            name, until = _name(day), day + timedelta(days=1)
            connection.exec_driver_sql(
                f"CREATE TABLE {name} (LIKE job_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
            )
            connection.exec_driver_sql(
                f"ALTER TABLE job_events ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{day.isoformat()}') TO ('{until.isoformat()}')"
            )


def drop_day(connection: sa.Connection, before: datetime) -> int:
    """Drop the partition of the oldest day, if that ended before a time. Returns how many were dropped.

    One in a transaction: until its end, no write to the log proceeds.
    """
    _lock(connection)
    for name in _partitions(connection)[:1]:
        day = datetime.strptime(name.rpartition("_")[2], "%Y%m%d").replace(tzinfo=UTC)
        if day + timedelta(days=1) <= before:
            # No write proceeds while this waits for a reader, either: keep the wait short.
            connection.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
            connection.exec_driver_sql(f"DROP TABLE {name}")
            return 1
    return 0


def _lock(connection: sa.Connection) -> None:
    connection.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK})


def _partitions(connection: sa.Connection) -> list[str]:
    rows = connection.execute(
        sa.text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'job_events'::regclass AND c.relname ~ '^job_events_[0-9]{8}$' "
            "ORDER BY c.relname"
        )
    )
    return [row[0] for row in rows]
