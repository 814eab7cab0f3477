"""Builds the image once for all tests in this folder, from the Dockerfile."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.container.buildah import BASE, IMAGE, Buildah, missing_requirement
from tests.container.container import Containers
from tests.support.processes import ROOT, Processes
from tests.support.requirements import absent

FIGURES = pytest.StashKey[list[str]]()


@dataclass(frozen=True)
class Image:
    """A built image."""

    buildah: Buildah
    config: dict[str, Any]
    root: Path
    """The root file system of a container."""
    version: str


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Image]:
    """The image, on a base of this machine's release."""
    if reason := missing_requirement():
        absent("buildah", reason)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    buildah = Buildah(tmp_path_factory.mktemp("buildah"))
    try:
        buildah.make_base()
        buildah.build("--build-arg", f"VERSION={version}")
        whole, base = buildah.sizes(IMAGE), buildah.sizes(BASE)
        request.config.stash[FIGURES] = [
            f"image {whole / 1e6:.0f} MB = base {base / 1e6:.0f} MB + Askback {(whole - base) / 1e6:.0f} MB",
            *(f"{what} {seconds:.0f} s" for what, seconds in buildah.seconds.items()),
        ]
        yield Image(buildah, buildah.config(), buildah.mount(), version)
    finally:
        buildah.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes, and kills those that still run at the end."""
    processes = Containers(tmp_path)
    try:
        yield processes
    finally:
        processes.end()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the image's size and build times."""
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(f"container: {line}")
