"""Jobs have a deadline, and attempts a time to run."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.types import Instant

revision = "0011_job_deadlines"
down_revision = "0010_escalation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("timeout_s", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("deadline", Instant(), nullable=True))
    op.add_column("jobs", sa.Column("run_timeout_s", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("run_until", Instant(), nullable=True))
    op.add_column("jobs", sa.Column("run_left_s", sa.Double(), nullable=True))
    op.create_index(
        "ix_jobs_deadline",
        "jobs",
        ["deadline"],
        unique=False,
        postgresql_where=sa.text("deadline IS NOT NULL AND completed_at IS NULL"),
        sqlite_where=sa.text("deadline IS NOT NULL AND completed_at IS NULL"),
    )
    op.create_index(
        "ix_jobs_run",
        "jobs",
        ["run_until"],
        unique=False,
        postgresql_where=sa.text("run_until IS NOT NULL"),
        sqlite_where=sa.text("run_until IS NOT NULL"),
    )
