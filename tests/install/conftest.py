"""Environments are created once: an installation takes seconds, and no test changes one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.wheelhouse import Environment, Wheelhouse
from tests.support.processes import Processes


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    """The wheel, the sdist, and the wheels of the dependencies."""
    return Wheelhouse(tmp_path_factory.mktemp("wheelhouse"))


def _environment(
    factory: pytest.TempPathFactory, wheelhouse: Wheelhouse, *extras: str
) -> Iterator[Environment]:
    environment = Environment(factory.mktemp("environment") / "venv", wheelhouse)
    environment.install("--no-compile", wheelhouse.requirement(*extras))
    yield environment
    environment.remove()


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse) -> Iterator[Environment]:
    """An environment with `pip install askback`."""
    yield from _environment(tmp_path_factory, wheelhouse)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse) -> Iterator[Environment]:
    """An environment with `pip install askback[server]`."""
    yield from _environment(tmp_path_factory, wheelhouse, "server")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes, and kills those that still run at the end."""
    processes = Processes(tmp_path)
    try:
        yield processes
    finally:
        processes.end()
