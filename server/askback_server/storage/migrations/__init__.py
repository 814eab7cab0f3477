"""The Alembic history."""
