"""How Alembic runs here: on a connection that migrate.py gives it, with a transaction for each migration."""

from typing import Any

from alembic import context

from askback_server.storage.schema import write_served
from askback_server.storage.tables import metadata


def note_served(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    """Store which versions the schema serves now, in the transaction of the migration."""
    [revision] = heads
    write_served(ctx.connection, revision)


attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=True,
    on_version_apply=note_served,
    index_wait=attributes.get("index_wait", 0),
)
with context.begin_transaction():
    context.run_migrations()
