"""A second, made-up migration, which simulates a later version in tests of upgrades."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config

from askback_server.storage import migrate, schema

SECOND = "0002_made_up"

_TEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0002_made_up"
down_revision = "0001_initial"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("made_up", sa.Text(), nullable=True))
    op.add_column("hitl_interactions", sa.Column("made_up", sa.Text(), nullable=True))
    op.create_index("ix_jobs_made_up", "jobs", ["made_up"], unique=False)
"""


def use_second_migration(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make this process migrate like a later version with one more migration, written to `folder`."""
    (folder / "v0002_made_up.py").write_text(_TEXT)
    released = schema.scripts
    versions = Path(released().get_main_option("script_location") or "") / "versions"

    def scripts() -> Config:
        config = released()
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", f"{versions}\n{folder}")
        return config

    monkeypatch.setattr(schema, "scripts", scripts)
    monkeypatch.setattr(migrate, "scripts", scripts)
