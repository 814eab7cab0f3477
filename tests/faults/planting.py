"""The run that shows a planted bug: short, with the faults that it takes."""

from __future__ import annotations

from pathlib import Path

from tests.faults.chaos import Outcome, Plan, play
from tests.faults.plants import PLANTS
from tests.faults.scene import Cast


async def play_planted(name: str, folder: Path, *, seed: int = 1, longer: int = 1) -> Outcome:
    """Play it; without a `name` nothing is planted, and nothing may be found."""
    plant = PLANTS.get(name)
    postgres = plant is not None and plant.database == "postgresql"
    cast = Cast(
        replicas=2 if postgres else 1,
        workers=2,
        crowd=True,
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
        cast=cast,
        faults=faults or ("reset",),
        longest=0.5,
        patience=4.0 * longer if plant else 60.0,
        reach=2.5,
    )
    return await play(plan, folder)


def is_caught(name: str, outcome: Outcome) -> bool:
    """Whether the checker has named the bug's own invariant, and for the right reason."""
    plant = PLANTS[name]
    return any(v.invariant == plant.invariant and plant.says in v.text for v in outcome.verdict.violations)
