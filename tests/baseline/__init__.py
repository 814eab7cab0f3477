"""What version 0.1.0 promises: its protos, its public SDK and its schema.

From that version on there are only additions (docs/upgrades.md). The files here describe that version, and
the tests compare the present with them. They change with releases only: `python -m tests.baseline` writes
them.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
PROTOS = FOLDER / "protos"
SDK = FOLDER / "sdk.json"
SCHEMA_REVISION = "0009_closed_prompts"


def schema_file(database: str) -> Path:
    """The file with the schema of the baseline, for `sqlite` or `postgres`."""
    return FOLDER / f"schema.{database}.txt"
