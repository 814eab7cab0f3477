"""Ended sign-in sessions."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.types import Instant

revision = "0002_sign_outs"
down_revision = "0001_initial"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_outs",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("stored_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "session_id", name=op.f("pk_sign_outs")),
    )
    op.create_index("ix_sign_outs_stored_at", "sign_outs", ["stored_at"], unique=False)
    op.create_index("ix_sign_outs_expires_at", "sign_outs", ["expires_at"], unique=False)
