"""The table of the absences of people (engine/absences.py)."""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.storage.people_tables import Name
from askback_server.storage.tables import metadata
from askback_server.storage.types import Id, Instant

absences = sa.Table(
    "absences",
    metadata,
    sa.Column("absence_id", Id, primary_key=True),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("subject", Name, nullable=False),
    sa.Column("from_at", Instant, nullable=False),
    sa.Column("until_at", Instant, nullable=False),
    sa.Column("substitute", Name, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("set_by", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    # The last time for which the open prompts of the person were reviewed, and until when a replica does
    # that.
    sa.Column("reviewed_at", Instant),
    sa.Column("leased_until", Instant),
    sa.Index("ix_absences_namespace", "namespace", "until_at"),
    sa.Index("ix_absences_updated", "updated_at"),
    sa.Index("ix_absences_until", "until_at"),
)
