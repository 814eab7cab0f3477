"""The built distributions, their dependencies, and clean environments to install them in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.processes import ROOT

EXTRAS = ("embedded", "server", "tui", "web", "receipts", "rules", "testing")
"""The extras for users (all but those for development)."""


def run(*command: str, **environment: str) -> str:
    """Run a program to its end. Returns its output; raises AssertionError with all output if it fails."""
    done = subprocess.run(
        command, env={**clean_environment(), **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def clean_environment() -> dict[str, str]:
    """This process's environment without variables that would make other packages visible."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ASKBACK_", "PYTHON", "VIRTUAL_ENV"))}


class Wheelhouse:
    """A folder with Askback's wheel and the wheels of all dependencies, downloaded once from the index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "wheels"
        dist = folder / "dist"
        # The wheel is built from the sdist, so a file missing there is noticed here.
        run(sys.executable, "-m", "build", "--outdir", str(dist), str(ROOT))
        (self.wheel,) = dist.glob("*.whl")
        (self.sdist,) = dist.glob("*.tar.gz")
        run(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--dest",
            str(self.folder),
            "--only-binary",
            ":all:",
            f"{self.wheel}[{','.join(EXTRAS)}]",
            *_build_requirements(),
        )

    def unpack(self, folder: Path) -> Path:
        """Unpack the sdist. Returns the folder of the checkout."""
        with tarfile.open(self.sdist) as archive:
            archive.extractall(folder, filter="data")
        (checkout,) = folder.iterdir()
        return checkout

    def requirement(self, *extras: str) -> str:
        """The requirement of the wheel with extras, for pip."""
        return f"{self.wheel}[{','.join(extras)}]" if extras else str(self.wheel)


def _build_requirements() -> Sequence[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requires: list[str] = project["build-system"]["requires"]
    return [*requires, "editables"]


class Environment:
    """A virtual environment without pip or any other package."""

    def __init__(self, folder: Path, wheelhouse: Wheelhouse) -> None:
        self._folder = folder
        self._wheelhouse = wheelhouse
        run(sys.executable, "-m", "venv", "--without-pip", str(folder))
        self.python = str(folder / "bin" / "python")
        self.askback = str(folder / "bin" / "askback")

    def install(self, *arguments: str) -> float:
        """Run `pip install` with the local wheels only. Returns the seconds."""
        start = time.monotonic()
        self._pip("install", "--no-index", "--find-links", str(self._wheelhouse.folder), *arguments)
        return time.monotonic() - start

    def _pip(self, command: str, *arguments: str) -> str:
        return run(sys.executable, "-m", "pip", "--python", self.python, command, "--quiet", *arguments)

    def check(self) -> None:
        """Check that all requirements of the installed packages are met."""
        run(sys.executable, "-m", "pip", "--python", self.python, "check")

    @property
    def site(self) -> Path:
        """The folder of the installed packages."""
        (site,) = (self._folder / "lib").glob("python3*/site-packages")
        return site

    def packages(self) -> Mapping[str, str]:
        """The versions of the installed packages by name."""
        pairs = (
            info.name.removesuffix(".dist-info").rpartition("-") for info in self.site.glob("*.dist-info")
        )
        return {name.lower().replace("_", "-"): version for name, _, version in pairs}

    def bytes(self) -> int:
        """The size of the installed packages on disk."""
        return sum(path.stat().st_size for path in self.site.rglob("*") if path.is_file())

    def run_program(self, program: str, *arguments: str) -> str:
        """Run a Python program in the environment, isolated from the checkout. Returns its output."""
        return run(self.python, "-P", "-c", program, *arguments)

    def remove(self) -> None:
        """Delete the environment."""
        shutil.rmtree(self._folder)
