"""Streams that never read cost the server little, and other tenants nothing: `make flood` in short."""

from pathlib import Path

from tests.hostile.flood import bound, measure
from tests.support.processes import Stage

STREAMS = 120
KINDS = "silent+pages+jobs+consoles+refusals+prompts+workers+job"


async def test_a_flood_beside_a_victim(tmp_path: Path) -> None:
    """A real server's memory stays within the documented bound, and all calls of the victim are served."""
    stage = Stage(tmp_path)
    try:
        figures = await measure(stage, KINDS, STREAMS, 2.0, 0.0)
    finally:
        stage.end()
    assert set(figures.calls) == {"OK"}, figures
    assert figures.growth < bound(KINDS, STREAMS), figures
