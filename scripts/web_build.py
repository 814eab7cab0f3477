"""Build the page of client/web into client/askback/web/static, or check that it is up to date.

In: client/web with its lockfile, node, npm and, for packages that are not installed yet, the package index.
Out: the files of the page, and a table of what each dependency takes. With --check nothing is written: the
page is built into a temporary folder and compared byte by byte; exit status 1 lists the stale files. Types
and style are checked first in any case. Without npm the script prints a line and does nothing; with `node` in
ASKBACK_REQUIRE that is an error.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "client" / "web"
STATIC = ROOT / "client" / "askback" / "web" / "static"
_MODULES = SOURCE / "node_modules"
_STAMP = _MODULES / ".askback-lockfile"
"""Holds the hash of the lockfile that was installed last."""


def missing_programs() -> list[str]:
    """The programs that this machine lacks."""
    return [name for name in ("node", "npm") if shutil.which(name) is None]


def run(*command: str) -> None:
    """Run a program in client/web. Ends this one with its status if it fails."""
    done = subprocess.run(command, cwd=SOURCE, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def install_packages() -> None:
    """Install the packages of the lockfile, unless they are installed. Never runs their scripts."""
    wanted = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
    # Tests and builds may start at the same time.
    with (SOURCE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _STAMP.exists() and _STAMP.read_text(encoding="utf-8") == wanted:
            return
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        _STAMP.write_text(wanted, encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a built page by name."""
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


def main() -> None:
    """Build the page; with --check compare instead of writing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is stale")
    check = parser.parse_args().check
    if missing := missing_programs():
        reason = (
            f"{' and '.join(missing)} not installed: the page is not built; CI checks that it is up to date"
        )
        sys.exit(reason if "node" in os.environ.get("ASKBACK_REQUIRE", "").split(",") else print(reason))
    install_packages()
    run("npm", "run", "--silent", "check")
    with tempfile.TemporaryDirectory() as scratch:
        run("node", "build.mjs", scratch)
        fresh, present = contents(Path(scratch)), contents(STATIC)
    stale = sorted(name for name in fresh.keys() | present.keys() if fresh.get(name) != present.get(name))
    if check and stale:
        names = "\n".join(f"  {(STATIC / name).relative_to(ROOT)}" for name in stale)
        sys.exit(f"the page is stale, run `make web`:\n{names}")
    STATIC.mkdir(parents=True, exist_ok=True)
    for name in [] if check else stale:
        target = STATIC / name
        if name in fresh:
            target.write_bytes(fresh[name])
        else:
            target.unlink()
        print(target.relative_to(ROOT), "written" if name in fresh else "removed")


if __name__ == "__main__":
    main()
