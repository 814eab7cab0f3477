"""Streams that never read cost the server little, and other tenants nothing: `make flood` in short."""

from pathlib import Path

import pytest

from tests.hostile.flood import measure
from tests.support.processes import Stage

STREAMS = 150
BASE, PER_STREAM = 64, 3
"""MiB that the documentation (docs/security.md) tells operators to plan with."""


@pytest.mark.parametrize("kind", ["silent", "pages+consoles", "prompts+refusals+workers+jobs"])
async def test_a_flood_beside_a_victim(tmp_path: Path, kind: str) -> None:
    """A real server's memory stays within the documented bound, and all calls of the victim are served."""
    stage = Stage(tmp_path)
    try:
        figures = await measure(stage, kind, STREAMS, 2.0)
    finally:
        stage.end()
    assert set(figures.calls) == {"OK"}, figures
    assert figures.growth < BASE + PER_STREAM * STREAMS, figures
