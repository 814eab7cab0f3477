"""A replica dies at the place that its failpoint names, and everything it has confirmed stays true."""

from pathlib import Path

import pytest

from tests.faults.chaos import Plan, run_plan
from tests.faults.cluster import ClusterConfig
from tests.faults.failpoints import PLACES
from tests.faults.history import read


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_a_replica_that_dies_at_any_failpoint_violates_no_invariant(tmp_path: Path) -> None:
    config = ClusterConfig(
        replicas=1, workers=2, shared_process=True, client={"at_once": 8}, console={"slow": 3.0}
    )
    faults = tuple(f"failpoint_{place}" for place in PLACES)
    plan = Plan(1, 12.0, "sqlite", config=config, faults=faults, longest=1.0)
    outcome = await run_plan(plan, tmp_path)
    assert not outcome.verdict.violations, "\n".join(map(str, outcome.verdict.violations[:10]))
    met = {line["place"] for line in read(tmp_path) if line["e"] == "failpoint"}
    assert met == set(PLACES)
