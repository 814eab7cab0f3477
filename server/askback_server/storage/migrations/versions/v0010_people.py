"""The directory of people."""

import sqlalchemy as sa
from alembic import op

from askback_server.storage.people_tables import Name
from askback_server.storage.types import Id, Instant

revision = "0010_people"
down_revision = "0009_closed_prompts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("subject", Name, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("last_seen", Instant(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("has_credentials", sa.Boolean(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("namespace", "subject", name=op.f("pk_people")),
    )
    op.create_table(
        "group_members",
        sa.Column("membership_id", Id, nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("subject", Name, nullable=False),
        sa.Column("group_name", Name, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("from_at", Instant(), nullable=False),
        sa.Column("until_at", Instant(), nullable=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("membership_id", name=op.f("pk_group_members")),
    )
    current = sa.text("until_at IS NULL")
    op.create_index(
        "uq_group_members_current",
        "group_members",
        ["namespace", "subject", "group_name", "source"],
        unique=True,
        postgresql_where=current,
        sqlite_where=current,
    )
    op.create_index("ix_group_members_person", "group_members", ["namespace", "subject"], unique=False)
    op.create_index(
        "ix_group_members_group", "group_members", ["namespace", "group_name", "subject"], unique=False
    )
    op.create_table(
        "people_groups",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", name=op.f("pk_people_groups")),
    )
