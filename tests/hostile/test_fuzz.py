"""Malformed input is refused with documented codes and does not affect other tenants."""

from tests.hostile.fuzz import run
from tests.support.service import ServiceWorld


async def test_fuzzed_calls_get_documented_codes_and_other_calls_succeed(
    service_with_tokens: ServiceWorld,
) -> None:
    """A short run of `make fuzz`."""
    report = await run(service_with_tokens, 250, seed=1)
    assert report.wrong == []
    assert report.victim_calls > 0
    assert len(report.outcomes) > 10, report.outcomes
