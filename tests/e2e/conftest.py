"""A stage for processes: whoever acts on it is ended with the test, and heard when it fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Stage

pytest.register_assert_rewrite("tests.e2e.checks")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Starts processes, and ends them all."""
    stage = Stage(tmp_path)
    try:
        yield stage
    finally:
        stage.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Show what the processes wrote when a test fails."""
    report = yield
    stage = getattr(item, "funcargs", {}).get("stage")
    if report.when == "call" and report.failed and isinstance(stage, Stage):
        report.sections.append(("processes", stage.story()))
    return report
