"""The source files that the rules in this folder check."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVER = "server/askback_server"
GENERATED = "client/askback/v1/"


def python_files(*folders: str) -> list[str]:
    """Paths of our Python files relative to the repository, without generated ones."""
    found = (path for folder in folders or ("client", "server") for path in (ROOT / folder).rglob("*.py"))
    names = (path.relative_to(ROOT).as_posix() for path in found)
    return sorted(name for name in names if not name.startswith(GENERATED))
