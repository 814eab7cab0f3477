"""The hash chain of events, and the checkpoints over its heads."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.types import Instant

revision = "0012_chain"
down_revision = "0011_shown_digest"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("chain", sa.LargeBinary(), nullable=True))
    for name in ("hash", "salt", "document_salt", "documents", "erased"):
        op.add_column("job_events", sa.Column(name, sa.LargeBinary(), nullable=True))
    op.create_table(
        "audit_checkpoints",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("heads", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "number", name=op.f("pk_audit_checkpoints")),
    )
    op.create_index("ix_audit_checkpoints_at", "audit_checkpoints", ["at"], unique=False)
    # The first round covers what the log still has.
    op.execute("INSERT INTO askback_settings (name, value) VALUES ('checkpointed', '0:0:')")
