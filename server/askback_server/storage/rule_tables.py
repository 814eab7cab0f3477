"""The tables of rules (engine/rules.py)."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.storage.tables import metadata
from askback_server.storage.types import Id, Instant

# One row per namespace that has or had a rule. Every change of its rules raises the version, and a write that
# uses a rule needs the version that it was decided on.
rule_sets = sa.Table(
    "rule_sets",
    metadata,
    sa.Column("namespace", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)

# One row per rule. The columns of the active revision are what the write guard reads.
rules = sa.Table(
    "rules",
    metadata,
    sa.Column("rule_id", Id, primary_key=True),
    sa.Column("namespace", sa.Text, nullable=False),
    # The active revision; 0 if none has been activated.
    sa.Column("revision", sa.Integer, nullable=False),
    # The newest revision, active or not.
    sa.Column("newest", sa.Integer, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("max_uses", sa.BigInteger, nullable=False),
    sa.Column("uses", sa.BigInteger, nullable=False),
    # The revision that waits for a second person, and the job that asks; 0 if none waits.
    sa.Column("proposed", sa.Integer, nullable=False),
    sa.Column("proposal_job", Id),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("deleted_at", Instant),
    sa.Index("ix_rules_namespace", "namespace", "rule_id"),
)

# What each revision said. Rows are only added: an answer names its rule and revision.
rule_revisions = sa.Table(
    "rule_revisions",
    metadata,
    sa.Column("rule_id", Id, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    # Who approved it; empty if no approval was needed.
    sa.Column("authorised_by", sa.Text, nullable=False),
)

# Not stored: the rules that the writes of a batch use.
rule_uses = sa.Table(
    "rule_uses",
    sa.MetaData(),
    sa.Column("job_id", Id),
    sa.Column("rule_id", Id),
    sa.Column("namespace", sa.Text),
    sa.Column("set_version", sa.BigInteger),
    sa.Column("author", sa.Text),
    sa.Column("author_version", Instant),
)
