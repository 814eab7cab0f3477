"""Jobs that go on with the first of several answers, failures that are not counted, reworded questions."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.types import Instant

revision = "0017_waking"
down_revision = "0015_lease_doubts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("wake", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("stalled_at", Instant(), nullable=True))
    op.add_column("hitl_interactions", sa.Column("same_digest", sa.Text(), nullable=True))
