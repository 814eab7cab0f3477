"""What a retried job carries over: answers of the chain's earlier jobs, and the chain's first job."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.types import Id, JsonText

revision = "0014_retries"
down_revision = "0013_attendance"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("root_job_id", Id, nullable=True))
    op.add_column("jobs", sa.Column("carried_answers", sa.Integer(), nullable=True))
    op.create_table(
        "job_carried_answers",
        sa.Column("job_id", Id, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("from_job_id", Id, nullable=False),
        sa.Column("prompt_id", Id, nullable=False),
        sa.Column("response", JsonText, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.job_id"], name=op.f("fk_job_carried_answers_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "key", name=op.f("pk_job_carried_answers")),
    )
