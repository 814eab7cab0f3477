"""The two commands' story, as anybody can run it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from askback.demo.story import NAMES
from tests.support.processes import Stage

ASKBACK = str(Path(sys.executable).with_name("askback"))


@pytest.mark.parametrize("example", NAMES)
async def test_the_demo(stage: Stage, example: str) -> None:
    """Each scripted demo ends well and says so, across a kill of the server."""
    demo = stage.command("demo", ASKBACK, "demo", example, "--scripted")
    assert await demo.ended(60) == 0, demo.story()
    assert "is killed (SIGKILL) while the question is open" in demo.out
    *_, last = demo.out.splitlines()
    assert last == "demo: the job completed with exactly the answers given, across a kill -9 of the server"
