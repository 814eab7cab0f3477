"""Leases of a session that its worker may not have."""

import sqlalchemy as sa
from alembic import op

revision = "0015_lease_doubts"
down_revision = "0013_attendance"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker_sessions", sa.Column("doubts", sa.Text(), nullable=True))
