"""Streams that never read cost the server little, and other tenants nothing. The short form of `make flood`."""

from pathlib import Path

import pytest

from askback_server.domain.limits import Limits
from tests.hostile.flood import MIB, measure
from tests.support.processes import Stage

STREAMS = 300
PER_STREAM = 0.25
"""MiB that a stream takes besides what is counted: its objects, and up to one window of the transport."""


@pytest.mark.parametrize("kind", ["silent", "pages", "prompts+refusals", "workers+jobs"])
async def test_a_flood_beside_a_victim(tmp_path: Path, kind: str) -> None:
    """300 streams to a real server: consoles that want large prompts take 250 MiB where nothing is bounded."""
    stage = Stage(tmp_path)
    limits = Limits()
    try:
        figures = await measure(stage, kind, STREAMS, 2.5)
    finally:
        stage.end()
    print(kind, figures)
    assert set(figures.calls) == {"OK"}, figures
    # What is kept, and what is written, of one principal.
    shares = 2 * limits.unsent_bytes_per_principal / MIB
    assert figures.growth < shares + PER_STREAM * STREAMS, figures
