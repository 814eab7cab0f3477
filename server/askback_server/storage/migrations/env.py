"""How Alembic runs here: on a connection that migrate.py gives it."""

from alembic import context

from askback_server.storage.schema import write_served
from askback_server.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
    # Not for a look at the history, which changes nothing.
    if revision := context.get_context().get_current_revision():
        write_served(connection, revision)
