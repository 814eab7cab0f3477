"""A replica dies at exactly the place that its failpoint names, and what it had told is true."""

from pathlib import Path

import pytest

from tests.faults.chaos import Plan, play
from tests.faults.failpoints import PLACES
from tests.faults.history import read
from tests.faults.scene import Cast


@pytest.mark.timeout(240)
async def test_a_replica_dies_at_each_place(tmp_path: Path) -> None:
    cast = Cast(replicas=1, workers=2, crowd=True, client={"at_once": 20}, console={"slow": 3.0})
    faults = tuple(f"failpoint_{place}" for place in PLACES)
    plan = Plan(1, 12.0, "sqlite", cast=cast, faults=faults, longest=1.0)
    outcome = await play(plan, tmp_path)
    assert not outcome.verdict.violations, "\n".join(map(str, outcome.verdict.violations[:10]))
    met = {line["place"] for line in read(tmp_path) if line["e"] == "failpoint"}
    assert met == set(PLACES)
