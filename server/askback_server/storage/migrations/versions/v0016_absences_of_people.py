"""Indexes of absences by person and by substitute."""

from askback_server.storage.large_indexes import create_large_index

revision = "0016_absences_of_people"
down_revision = "0015_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_large_index("ix_absences_subject", "absences", ["namespace", "subject", "until_at"])
    create_large_index("ix_absences_substitute", "absences", ["namespace", "substitute", "until_at"])
