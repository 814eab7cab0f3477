"""Counts by the hour, and an index of open prompts by age."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.large_indexes import create_large_index
from askback_server.storage.types import Instant

revision = "0003_overview"
down_revision = "0002_sign_outs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_large_index(
        "ix_hitl_interactions_open",
        "hitl_interactions",
        [
            "namespace",
            "created_at",
            "interaction_id",
            "interaction_type",
            "priority",
            "unattended_since",
            "responded_at",
        ],
        where="responded_at IS NULL",
    )
    op.create_table(
        "hour_counts",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("hour", Instant(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "namespace", "hour", "job_type", "kind", "measure", "bucket", name=op.f("pk_hour_counts")
        ),
    )
    op.create_index("ix_hour_counts_hour", "hour_counts", ["hour"], unique=False)
    # The first sweep counts what the log still has.
    op.execute("INSERT INTO askback_settings (name, value) VALUES ('counted', '0:0:')")
