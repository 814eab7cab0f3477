"""Short runs with faults, from fixed seeds: the first tier of chaos. `make chaos` is the second."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.chaos import Plan, clean, play
from tests.faults.regressions import REGRESSIONS
from tests.faults.scene import Cast


async def _plays_clean(plan: Plan) -> None:
    # Not pytest's folder: that goes with the next runs, and a history that failed is to be kept.
    folder = Path(tempfile.mkdtemp(prefix="askback-chaos-"))
    outcome = await play(replace(plan, patience=120.0), folder)
    print(outcome.line)
    text = "\n".join(map(str, outcome.verdict.violations[:10]))
    assert not outcome.verdict.violations, f"{outcome.line}\n{text}\nthe history is in {folder}"
    assert sum(outcome.faults.values()) > 5
    assert outcome.verdict.prompts > 50
    clean(folder)


@pytest.mark.timeout(240)
async def test_one_replica_on_sqlite_is_killed_again_and_again() -> None:
    cast = Cast(replicas=1, workers=2, crowd=True, client={"at_once": 20}, console={"slow": 3.0})
    await _plays_clean(Plan(1, 5.0, "sqlite", cast=cast, pause=0.5, longest=0.7))


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("postgres_programs")
async def test_two_replicas_on_postgresql_with_a_standby() -> None:
    cast = Cast(
        replicas=2,
        workers=2,
        crowd=True,
        client={"at_once": 20},
        console={"slow": 3.0},
        slow_commits="0.02,1.0",
        skew=5.0,
    )
    await _plays_clean(Plan(2, 8.0, "postgresql", standby=True, cast=cast, pause=0.4, longest=0.8))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", REGRESSIONS)
async def test_a_seed_that_once_failed(name: str, request: pytest.FixtureRequest) -> None:
    plan = REGRESSIONS[name]
    if plan.database == "postgresql":
        request.getfixturevalue("postgres_programs")
    await _plays_clean(plan)
