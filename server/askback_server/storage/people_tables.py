"""The tables of the directory of people (engine/directory.py)."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.storage.tables import metadata
from askback_server.storage.types import Id, Instant

Name = sa.Text(collation="C").with_variant(sa.Text, "sqlite")
"""A name by which lists are ordered: by code point on both databases."""

# One row per person and namespace. Nothing but the subject stays of a deleted person.
people = sa.Table(
    "people",
    metadata,
    sa.Column("namespace", sa.Text, primary_key=True),
    sa.Column("subject", Name, primary_key=True),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("last_seen", Instant),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("has_credentials", sa.Boolean, nullable=False),
    # What a search looks in (search_text in domain/people.py).
    sa.Column("search", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("deleted_at", Instant),
)

# Who was in which group from when to when. A row is ended, never deleted: "who was in it then" has an answer.
group_members = sa.Table(
    "group_members",
    metadata,
    sa.Column("membership_id", Id, primary_key=True),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("subject", Name, nullable=False),
    sa.Column("group_name", Name, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("from_at", Instant, nullable=False),
    sa.Column("until_at", Instant),
    sa.Column("set_by", sa.Text, nullable=False),
    # At most one current fact for each membership, also while two replicas write.
    sa.Index(
        "uq_group_members_current",
        "namespace",
        "subject",
        "group_name",
        "source",
        unique=True,
        postgresql_where=sa.text("until_at IS NULL"),
        sqlite_where=sa.text("until_at IS NULL"),
    ),
    sa.Index("ix_group_members_person", "namespace", "subject"),
    sa.Index("ix_group_members_group", "namespace", "group_name", "subject"),
)

# What admins say of a group. A group without a row has members only.
people_groups = sa.Table(
    "people_groups",
    metadata,
    sa.Column("namespace", sa.Text, primary_key=True),
    sa.Column("name", Name, primary_key=True),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)
