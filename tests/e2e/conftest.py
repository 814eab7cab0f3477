"""Processes for end-to-end tests. When a test fails, its report shows their output."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Process, Processes

pytest.register_assert_rewrite("tests.e2e.checks")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes, and ends them after the test."""
    processes = Processes(tmp_path)
    try:
        yield processes
    finally:
        processes.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Add the output of the processes to the report of a failed test."""
    report = yield
    if report.when == "call" and report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Processes | Process):
                report.sections.append(("processes", value.story()))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set a timeout, so that a test that hangs fails with the output of its processes."""
    for item in items:
        if "tests/e2e/" in item.path.as_posix() and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(90))
