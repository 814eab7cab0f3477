"""The checker finds every planted bug for the right reason, and nothing without a planted bug."""

from pathlib import Path

import pytest

from tests.faults.checker.violation import INVARIANTS
from tests.faults.planting import is_caught, run_with_bug
from tests.faults.plants import PLANTS
from tests.support.processes import ROOT

ATTEMPTS = 3
"""A bug that needs a race may need another seed or, on a busy machine, more time."""


def test_every_invariant_has_a_planted_bug() -> None:
    assert {plant.invariant for plant in PLANTS.values()} == set(INVARIANTS) - {0}


def test_the_reliability_page_names_every_planted_bug() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert not [name for name in PLANTS if f"`{name}`" not in page]


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PLANTS)
async def test_the_checker_finds_each_planted_bug(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plant = PLANTS[name]
    if plant.database == "postgresql":
        request.getfixturevalue("postgres_programs")
    found = ""
    for attempt in range(1, ATTEMPTS + 1):
        outcome = await run_with_bug(name, tmp_path / f"{attempt}", seed=attempt, longer=attempt)
        if is_caught(name, outcome):
            return
        found = "\n  ".join(map(str, outcome.verdict.violations[:5]))
    pytest.fail(f"invariant {plant.invariant}: {plant.what}, and that was not seen:\n  {found}")


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_a_run_without_a_planted_bug_has_no_violations(tmp_path: Path) -> None:
    outcome = await run_with_bug("", tmp_path)
    assert not outcome.verdict.violations, "\n".join(map(str, outcome.verdict.violations[:10]))
    assert outcome.verdict.prompts > 50
    assert outcome.verdict.answers > 50
