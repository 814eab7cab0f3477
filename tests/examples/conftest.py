"""A processes for the examples' processes; what they wrote is shown when a test fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Processes


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes, and ends them all."""
    processes = Processes(tmp_path)
    try:
        yield processes
    finally:
        processes.end()


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A fresh SQLite file."""
    return f"sqlite+aiosqlite:///{tmp_path / 'askback.db'}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Show what the processes wrote."""
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        for actor in item.funcargs.values():
            if isinstance(actor, Processes):
                report.sections.append(("processes", actor.story()))
    return report
