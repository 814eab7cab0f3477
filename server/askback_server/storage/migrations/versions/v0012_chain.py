"""The hash chain of events, and the signed checkpoints over its heads."""

import sqlalchemy as sa
from alembic import op

revision = "0012_chain"
down_revision = "0009_closed_prompts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("chain", sa.LargeBinary(), nullable=True))
    for name in ("hash", "salt", "documents", "erased"):
        op.add_column("job_events", sa.Column(name, sa.LargeBinary(), nullable=True))
