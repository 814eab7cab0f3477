"""Who else asked for a job, and the votes of prompts."""

import sqlalchemy as sa
from alembic import op

revision = "0013_approvals"
down_revision = "0012_chain"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("requesters", sa.Text(), nullable=True))
    op.add_column("hitl_interactions", sa.Column("votes", sa.Text(), nullable=True))
