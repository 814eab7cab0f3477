"""Indexes of absences by person and by substitute."""

from alembic import op

revision = "0016_absences_of_people"
down_revision = "0015_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, person in (("ix_absences_subject", "subject"), ("ix_absences_substitute", "substitute")):
        op.create_index(name, "absences", ["namespace", person, "until_at"], unique=False)
