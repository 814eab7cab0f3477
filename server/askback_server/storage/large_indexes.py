"""Indexes of tables that may be large, for migrations: made without blocking writes."""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa
from alembic import op

_log = logging.getLogger("askback.server.storage")

_INVALID = sa.text(
    "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(current_schema() || '.' || :name)"
    " AND NOT indisvalid"
)


def create_large_index(name: str, table: str, columns: list[Any], *, where: str = "") -> None:
    """Create an index, with `where` a partial one. On PostgreSQL the table can be written meanwhile (CREATE
    INDEX CONCURRENTLY).

    That commits what the migration did before, so call it first: then an interrupted migration can run
    again. It replaces an index that an interrupted one has left invalid.
    """
    context = op.get_context()
    names = ("postgresql_where", "sqlite_where") if where else ()
    only: dict[str, Any] = {name: sa.text(where) for name in names}
    if context.dialect.name != "postgresql":
        op.create_index(name, table, columns, unique=False, **only)
        return
    with context.autocommit_block():
        bind = op.get_bind()
        before = bind.execute(sa.text("SHOW lock_timeout")).scalar_one()
        # It waits for every transaction that is open now, but no writer waits behind it.
        bind.execute(sa.text(f"SET lock_timeout = '{context.opts['index_wait']}s'"))
        try:
            if bind.execute(_INVALID, {"name": name}).first() is not None:
                _log.warning("an interrupted migration left the index %s invalid; making it again", name)
                bind.execute(sa.text(f"DROP INDEX CONCURRENTLY {name}"))
            op.create_index(
                name, table, columns, unique=False, if_not_exists=True, postgresql_concurrently=True, **only
            )
        finally:
            bind.execute(sa.text(f"SET lock_timeout = '{before}'"))
