"""A processes for processes: whoever acts on it is ended with the test, and heard when it fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Process, Processes

pytest.register_assert_rewrite("tests.e2e.checks")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes, and ends them all."""
    processes = Processes(tmp_path)
    try:
        yield processes
    finally:
        processes.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Show what the processes wrote when a test fails."""
    report = yield
    if report.when == "call" and report.failed:
        for actor in getattr(item, "funcargs", {}).values():
            if isinstance(actor, Processes | Process):
                report.sections.append(("processes", actor.story()))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for ever is shown before the whole run is given up."""
    for item in items:
        if "tests/e2e/" in item.path.as_posix() and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(90))
