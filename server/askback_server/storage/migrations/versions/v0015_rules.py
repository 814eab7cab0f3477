"""Rules, and the digest of a prompt as its job asked it."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.types import Id, Instant

revision = "0015_rules"
down_revision = "0014_absences"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hitl_interactions", sa.Column("asked_digest", sa.Text(), nullable=True))
    op.create_table(
        "rule_sets",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", name=op.f("pk_rule_sets")),
    )
    op.create_table(
        "rules",
        sa.Column("rule_id", Id, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("newest", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("max_uses", sa.BigInteger(), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("proposed", sa.Integer(), nullable=False),
        sa.Column("proposal_job", Id, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("rule_id", name=op.f("pk_rules")),
    )
    op.create_index("ix_rules_namespace", "rules", ["namespace", "rule_id"], unique=False)
    op.create_table(
        "rule_revisions",
        sa.Column("rule_id", Id, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("authorised_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("rule_id", "revision", name=op.f("pk_rule_revisions")),
    )
