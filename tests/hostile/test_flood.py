"""Streams that never read cost the server little memory and do not affect others (see `make flood`)."""

from pathlib import Path

from tests.hostile.flood import measure, memory_bound
from tests.support.processes import Processes

STREAMS = 120
KINDS = "silent+pages+jobs+consoles+refusals+prompts+workers+job"


async def test_a_flood_stays_within_the_memory_bound_and_other_calls_succeed(tmp_path: Path) -> None:
    """The server's memory stays within the documented bound, and all calls of the victim succeed."""
    processes = Processes(tmp_path)
    try:
        figures = await measure(processes, KINDS, STREAMS, 2.0, 0.0)
    finally:
        processes.end()
    assert set(figures.calls) == {"OK"}, figures
    assert figures.growth < memory_bound(KINDS, STREAMS), figures
