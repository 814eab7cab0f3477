"""How many leases of a job no worker received."""

import sqlalchemy as sa
from alembic import op

revision = "0018_unreceived"
down_revision = "0017_waking"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("unreceived", sa.Integer(), nullable=True))
