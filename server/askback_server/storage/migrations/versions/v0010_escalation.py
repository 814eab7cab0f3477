"""Prompts remember how far their escalation and reminders have come."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.types import Instant, JsonText

revision = "0010_escalation"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hitl_interactions", sa.Column("nudges", JsonText, nullable=True))
    op.add_column("hitl_interactions", sa.Column("nudge_at", Instant(), nullable=True))
    op.create_index(
        "ix_hitl_interactions_nudge",
        "hitl_interactions",
        ["nudge_at"],
        unique=False,
        postgresql_where=sa.text("responded_at IS NULL AND nudge_at IS NOT NULL"),
        sqlite_where=sa.text("responded_at IS NULL AND nudge_at IS NOT NULL"),
    )
