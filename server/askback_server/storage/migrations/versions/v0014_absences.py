"""The absences of people."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.people_tables import Name
from askback_server.storage.types import Id, Instant

revision = "0014_absences"
down_revision = "0013_approvals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "absences",
        sa.Column("absence_id", Id, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("subject", Name, nullable=False),
        sa.Column("from_at", Instant(), nullable=False),
        sa.Column("until_at", Instant(), nullable=False),
        sa.Column("substitute", Name, nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("reviewed_at", Instant(), nullable=True),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("absence_id", name=op.f("pk_absences")),
    )
    op.create_index("ix_absences_namespace", "absences", ["namespace", "until_at"], unique=False)
    op.create_index("ix_absences_updated", "absences", ["updated_at"], unique=False)
    op.create_index("ix_absences_until", "absences", ["until_at"], unique=False)
