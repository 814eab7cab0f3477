"""The creator of a prompt's job, beside the prompt."""

import sqlalchemy as sa
from alembic import op

revision = "0020_requested_by"
down_revision = "0019_handles"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hitl_interactions", sa.Column("requested_by", sa.Text(), nullable=True))
    # Of open prompts only: they are few, and closed ones are read by nobody who waits.
    op.execute(
        "UPDATE hitl_interactions SET requested_by ="
        " (SELECT user_id FROM jobs WHERE jobs.job_id = hitl_interactions.job_id)"
        " WHERE responded_at IS NULL"
    )
