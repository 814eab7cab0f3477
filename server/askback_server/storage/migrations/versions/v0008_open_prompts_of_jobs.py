"""An index of the open prompts of a job."""

import sqlalchemy as sa
from alembic import op

revision = "0008_open_prompts_of_jobs"
down_revision = "0003_overview"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_hitl_interactions_job",
        "hitl_interactions",
        ["job_id", "responded_at"],
        unique=False,
        postgresql_where=sa.text("responded_at IS NULL"),
        sqlite_where=sa.text("responded_at IS NULL"),
    )
