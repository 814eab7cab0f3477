"""How Alembic runs here: on a connection that migrate.py gives it."""

from alembic import context

from askback_server.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
