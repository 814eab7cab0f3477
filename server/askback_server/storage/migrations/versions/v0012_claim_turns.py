"""Turns at leasing jobs of queues that have a limit."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.types import Id, Instant

revision = "0012_claim_turns"
down_revision = "0011_job_deadlines"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "claim_turns",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("turn_id", Id, nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "job_type", name=op.f("pk_claim_turns")),
    )
