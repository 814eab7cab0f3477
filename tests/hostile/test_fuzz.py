"""Nonsense of every kind is refused in our words, and a tenant beside it notices nothing."""

from tests.hostile.fuzz import run
from tests.support.service import World


async def test_nonsense_beside_a_victim(guarded: World) -> None:
    """The short form of `make fuzz`."""
    report = await run(guarded, 250, seed=1)
    assert report.wrong == []
    assert report.victim_calls > 0
    assert len(report.outcomes) > 10, report.outcomes
