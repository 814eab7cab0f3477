"""A made-up migration after the newest one, which simulates a later version in tests of upgrades."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from askback_server.storage import migrate, schema

NEXT = "next_made_up"

_TEXT = """
import sqlalchemy as sa
from alembic import op

revision = "next_made_up"
down_revision = "{newest}"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("made_up", sa.Text(), nullable=True))
    op.add_column("hitl_interactions", sa.Column("made_up", sa.Text(), nullable=True))
    op.create_index("ix_jobs_made_up", "jobs", ["made_up"], unique=False)
"""


def use_next_migration(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make this process migrate like a later version with one more migration, written to `folder`."""
    released = schema.scripts
    newest = ScriptDirectory.from_config(released()).get_current_head()
    (folder / "next_made_up.py").write_text(_TEXT.format(newest=newest))
    versions = Path(released().get_main_option("script_location") or "") / "versions"

    def scripts() -> Config:
        config = released()
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", f"{versions}\n{folder}")
        return config

    for module in (schema, migrate):
        monkeypatch.setattr(module, "scripts", scripts)
        monkeypatch.setattr(module, "history", lambda: ScriptDirectory.from_config(scripts()))
