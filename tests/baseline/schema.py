"""A database's schema as text: columns, keys and indexes, one per line."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

_PARTITION = "job_events_"
"""Partitions of the event log have the date in their name."""


def describe_schema(connection: sa.Connection) -> str:
    """All tables of Askback in a database, sorted."""
    names = sorted(sa.inspect(connection).get_table_names())
    tables = (n for n in names if not n.startswith(_PARTITION) and n != "alembic_version")
    return "\n".join(line for name in tables for line in _table(connection, name)) + "\n"


def _table(connection: sa.Connection, name: str) -> Iterator[str]:
    inspector = sa.inspect(connection)
    yield name
    for column in sorted(inspector.get_columns(name), key=lambda c: c["name"]):
        null = "" if column["nullable"] else " not null"
        yield f"  {column['name']} {_type(connection, name, column['name'])}{null}"
    yield f"  primary key {', '.join(inspector.get_pk_constraint(name)['constrained_columns'])}"
    for key in inspector.get_foreign_keys(name):
        yield f"  foreign key {', '.join(key['constrained_columns'])} -> {key['referred_table']}"
    for index in sorted(_indexes(connection, name)):
        yield f"  {index}"


def _type(connection: sa.Connection, table: str, column: str) -> str:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(
            f"SELECT type FROM pragma_table_info('{table}') WHERE name = '{column}'"
        )
    else:
        rows = connection.exec_driver_sql(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
            f" WHERE attrelid = '{table}'::regclass AND attname = '{column}'"
        )
    return str(rows.scalar_one()).lower()


def _indexes(connection: sa.Connection, table: str) -> list[str]:
    if connection.dialect.name == "sqlite":
        statement = (
            f"SELECT sql FROM sqlite_master WHERE type = 'index' AND sql > '' AND tbl_name = '{table}'"
        )
    else:
        statement = f"SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = '{table}'"
    return [" ".join(row[0].split()) for row in connection.exec_driver_sql(statement)]
