"""Environments of the systems, each with a Python of its own: Askback never depends on a peer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from systems import System

INSTALL_SECONDS = 600.0


class Unavailable(Exception):
    """A system cannot be measured here; the message says why."""


def install(system: System, folder: Path) -> tuple[str, str]:
    """Install a system into a subfolder, unless the same versions are there already.

    Returns the paths of its Python and of its server program, which is empty if it has none. Raises
    Unavailable if that is not possible.
    """
    if not system.packages:
        return sys.executable, ""
    environment = folder.resolve() / system.packages[0].partition("==")[0]
    wanted = "\n".join((*system.packages, system.node_package))
    done = environment / "installed.txt"
    if not done.is_file() or done.read_text(encoding="utf-8") != wanted:
        print(f"installing {wanted.split()}", flush=True)
        _install(system, environment)
        done.write_text(wanted, encoding="utf-8")
    return str(environment / "bin" / "python"), _find_program(system, environment)


def _install(system: System, environment: Path) -> None:
    npm = shutil.which("npm")
    if system.node_package and npm is None:
        raise Unavailable(f"{system.node_package} needs npm, which is not installed")
    _run([sys.executable, "-m", "venv", str(environment)])
    _run([str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", *system.packages])
    if npm is not None and system.node_package:
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(environment)]
        _run([npm, "install", *options, system.node_package])


def _run(command: list[str]) -> None:
    """Run a command. Raises Unavailable with its last line if it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command)} took more than {INSTALL_SECONDS:.0f} s") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise Unavailable(f"{' '.join(command)} failed: {lines[-1]}")


def _find_program(system: System, environment: Path) -> str:
    """The path of the server program; empty if the system has none."""
    if not system.program:
        return ""
    found = sorted(environment.glob(system.program))
    if not found:
        raise Unavailable(f"its packages have no {system.program} for this platform")
    return str(found[0])
