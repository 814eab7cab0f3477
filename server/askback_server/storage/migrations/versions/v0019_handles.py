"""Finding jobs and prompts by the end of their id, and who cancelled a job."""

import sqlalchemy as sa
from alembic import op

revision = "0019_handles"
down_revision = "0018_unreceived"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("cancelled_by", sa.Text(), nullable=True))
    op.create_index("ix_jobs_handle", "jobs", [sa.text("substr(CAST(job_id AS TEXT), 31)")], unique=False)
    op.create_index(
        "ix_hitl_interactions_handle",
        "hitl_interactions",
        [sa.text("substr(CAST(interaction_id AS TEXT), 31)")],
        unique=False,
    )
