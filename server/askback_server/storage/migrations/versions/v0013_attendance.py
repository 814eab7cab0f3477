"""Prompts that nobody is there for, and the presence of consoles."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.types import Id, Instant, JsonText

revision = "0013_attendance"
down_revision = "0012_claim_turns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_presence",
        sa.Column("replica_id", Id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("views", JsonText, nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("replica_id", name=op.f("pk_console_presence")),
    )
    op.add_column("hitl_interactions", sa.Column("unattended_since", Instant(), nullable=True))
    op.create_index(
        "ix_hitl_interactions_unattended",
        "hitl_interactions",
        ["namespace", "interaction_id"],
        unique=False,
        postgresql_where=sa.text("unattended_since IS NOT NULL"),
        sqlite_where=sa.text("unattended_since IS NOT NULL"),
    )
