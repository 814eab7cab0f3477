"""Short chaos runs from fixed seeds. `make chaos` does long ones."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.chaos import Plan, clean, run_plan
from tests.faults.cluster import ClusterConfig
from tests.faults.regressions import REGRESSIONS


async def _run_without_violations(plan: Plan) -> None:
    # Not in pytest's folder, which later runs delete: the history of a failed run must be kept.
    folder = Path(tempfile.mkdtemp(prefix="askback-chaos-"))
    outcome = await run_plan(replace(plan, patience=120.0), folder)
    print(outcome.line)
    text = "\n".join(map(str, outcome.verdict.violations[:10]))
    assert not outcome.verdict.violations, f"{outcome.line}\n{text}\nthe history is in {folder}"
    assert sum(outcome.faults.values()) > 5
    assert outcome.verdict.prompts > 10  # on a busy machine it does less in its time
    clean(folder)


@pytest.mark.timeout(240)
async def test_killing_one_replica_on_sqlite_again_and_again_violates_no_invariant() -> None:
    config = ClusterConfig(
        replicas=1, workers=2, shared_process=True, client={"at_once": 8}, console={"slow": 3.0}
    )
    await _run_without_violations(Plan(1, 5.0, "sqlite", config=config, pause=0.5, longest=0.7))


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("postgres_programs")
async def test_faults_on_two_replicas_with_a_standby_violate_no_invariant() -> None:
    config = ClusterConfig(
        replicas=2,
        workers=2,
        shared_process=True,
        client={"at_once": 8},
        console={"slow": 3.0},
        slow_commits="0.02,1.0",
        skew=5.0,
    )
    await _run_without_violations(
        Plan(2, 8.0, "postgresql", standby=True, config=config, pause=0.4, longest=0.8)
    )


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", REGRESSIONS)
async def test_a_seed_that_once_failed_violates_no_invariant(
    name: str, request: pytest.FixtureRequest
) -> None:
    plan = REGRESSIONS[name]
    if plan.database == "postgresql":
        request.getfixturevalue("postgres_programs")
    await _run_without_violations(plan)
