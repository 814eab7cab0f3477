"""The checker sees every bug that is planted, for what it is, and nothing where nothing is planted."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.checker.violation import INVARIANTS
from tests.faults.planting import is_caught, play_planted
from tests.faults.plants import PLANTS
from tests.support.processes import ROOT

AT_ONCE = 2
"""Runs side by side: most of a run is waiting."""
ATTEMPTS = 3
"""A bug that shows in a race may need another seed, and on a busy machine more time."""


def test_every_invariant_has_a_planted_bug() -> None:
    assert {plant.invariant for plant in PLANTS.values()} == set(INVARIANTS) - {0}


def test_the_page_names_every_planted_bug() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert not [name for name in PLANTS if f"`{name}`" not in page]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_the_checker_sees_each_planted_bug(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "postgresql":
        request.getfixturevalue("postgres_programs")
    names = [name for name, plant in PLANTS.items() if plant.database == database]
    turn = asyncio.Semaphore(AT_ONCE)

    async def missed(name: str) -> str:
        found = ""
        for attempt in range(1, ATTEMPTS + 1):
            async with turn:
                folder = tmp_path / f"{name}-{attempt}"
                outcome = await play_planted(name, folder, seed=attempt, longer=attempt)
            if is_caught(name, outcome):
                return ""
            found = "\n  ".join(map(str, outcome.verdict.violations[:5]))
        return f"{name} (invariant {PLANTS[name].invariant}: {PLANTS[name].what}) was not seen:\n  {found}"

    assert not [text for text in await asyncio.gather(*map(missed, names)) if text]


@pytest.mark.timeout(180)
async def test_nothing_is_found_where_nothing_is_planted(tmp_path: Path) -> None:
    outcome = await play_planted("", tmp_path)
    assert not outcome.verdict.violations, "\n".join(map(str, outcome.verdict.violations[:10]))
    assert outcome.verdict.prompts > 50
    assert outcome.verdict.answers > 50
