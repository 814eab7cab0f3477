"""Who created a job in the name of another user."""

import sqlalchemy as sa
from alembic import op

revision = "0013_created_by"
down_revision = "0012_chain"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("created_by", sa.Text(), nullable=True))
