"""The digest of what people see, of each prompt."""

import sqlalchemy as sa
from alembic import op

revision = "0011_shown_digest"
down_revision = "0010_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hitl_interactions", sa.Column("shown_digest", sa.Text(), nullable=True))
