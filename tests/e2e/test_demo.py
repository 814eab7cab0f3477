"""The two commands' story, as anybody can run it."""

import sys
from pathlib import Path

from tests.support.processes import Stage


async def test_the_demo(stage: Stage) -> None:
    """The scripted demo ends well and says so, across a kill of the server."""
    demo = stage.command("demo", str(Path(sys.executable).with_name("askback")), "demo", "--scripted")
    assert await demo.ended(60) == 0, demo.story()
    assert "is killed (SIGKILL) while the question is open" in demo.out
    *_, last = demo.out.splitlines()
    assert last == "demo: the job completed with exactly the answers given, across a kill -9 of the server"
