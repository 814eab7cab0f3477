"""Which versions of the program can run on a schema.

A migration that only adds (nullable columns, columns with a default, tables, indexes) still serves older
programs; that is the rule. A migration that removes something sets `contracts = True`; it serves only
programs that know itself or the migration before it. The database stores which revisions its schema serves,
because an older program does not know later migrations.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from askback_server.storage.settings import get_setting, put_setting

SERVES = "schema_serves"
"""Name of the setting that lists the revisions whose programs may run on the schema, newest first."""

UNRELEASED = frozenset(
    {
        "0001",
        "0010_escalation",
        "0011_job_deadlines",
        "0012_claim_turns",
        "0013_attendance",
        "0014_retries",
        "0015_lease_doubts",
        "0017_waking",
        "0018_unreceived",
        "0019_handles",
        "0020_requested_by",
    }
)
"""Revisions from before version 0.1.0. They were replaced by one migration and cannot be upgraded."""


def scripts() -> Config:
    """Alembic's configuration: the folder of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


@cache
def history() -> ScriptDirectory:
    """The migrations. Their files are read once: every start asks several times which one is the newest."""
    return ScriptDirectory.from_config(scripts())


def served_by(revision: str, config: Config | None = None) -> list[str]:
    """The revisions that a schema of this revision serves, newest first."""
    found = []
    directory = ScriptDirectory.from_config(config) if config else history()
    for script in directory.iterate_revisions(revision, "base"):
        found.append(script.revision)
        if getattr(script.module, "contracts", False):
            # The program of the previous migration may still run: it no longer uses what is removed.
            below = script.down_revision
            return [*found, below] if isinstance(below, str) else found
    return found


def write_served(connection: sa.Connection, revision: str, config: Config | None = None) -> None:
    """Store which revisions the schema serves, in the transaction of the migration."""
    put_setting(connection, SERVES, " ".join(served_by(revision, config)))


def revision_of(connection: sa.Connection) -> str:
    """The schema's revision; empty for a database without one."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def is_newer(revision: str) -> bool:
    """Whether the schema has a revision of a newer version of the program, which this one does not know."""
    return bool(revision) and revision not in {script.revision for script in history().walk_revisions()}


def check_schema(connection: sa.Connection) -> str:
    """A message that says why this version cannot run on the schema; empty if it can."""
    wanted = history().get_current_head()
    found = revision_of(connection)
    if found == wanted:
        return ""
    if not found:
        return "the database has no schema yet; run `askback migrate`"
    if found in UNRELEASED:
        return (
            f"the database's schema is {found}, from before version 0.1.0, and cannot be upgraded: recreate "
            "the database (drop it, or remove the file) and run `askback migrate`"
        )
    if not is_newer(found):
        return f"the database's schema is {found}, this version needs {wanted}; run `askback migrate`"
    if wanted in (get_setting(connection, SERVES) or "").split():
        return ""
    return f"the database's schema is {found}, which serves this version ({wanted}) no more; run a newer one"
