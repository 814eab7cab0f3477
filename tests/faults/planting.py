"""Short runs that expose a planted bug, with the faults it needs."""

from __future__ import annotations

from pathlib import Path

from tests.faults.chaos import Outcome, Plan, run_plan
from tests.faults.cluster import ClusterConfig
from tests.faults.plants import PLANTS


async def run_with_bug(name: str, folder: Path, *, seed: int = 1, longer: int = 1) -> Outcome:
    """Do the run for a planted bug; without a `name`, a run without a bug, which must have no violations."""
    plant = PLANTS.get(name)
    postgres = plant is not None and plant.database == "postgresql"
    config = ClusterConfig(
        replicas=2 if postgres else 1,
        workers=2,
        shared_process=True,
        plant=name,
        client={"at_once": 12, **(plant.client if plant else {})},
        console={"slow": 3.0},
        settings={"drain_grace": 1, "sweep_interval": 1, **(plant.settings if plant else {})},
        slow_commits=plant.slow_commits if plant else "",
    )
    faults = plant.faults if plant else ()
    plan = Plan(
        seed,
        longer * (plant.seconds if plant else 4.0),
        "postgresql" if postgres else "sqlite",
        config=config,
        faults=faults or ("reset",),
        longest=0.5,
        patience=4.0 * longer if plant else 60.0,
        reach=2.5,
    )
    return await run_plan(plan, folder)


def is_caught(name: str, outcome: Outcome) -> bool:
    """Whether the checker reported the invariant that the bug breaks, with the expected text."""
    plant = PLANTS[name]
    return any(v.invariant == plant.invariant and plant.says in v.text for v in outcome.verdict.violations)
