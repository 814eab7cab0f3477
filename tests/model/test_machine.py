"""Engine and storage do what docs/design.md says, whatever comes: the machine on both databases."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from askback_server.engine import timers
from askback_server.storage import job_store, sqlite
from tests.model.bugs import BUGS, ON_POSTGRES
from tests.model.machine import Machine
from tests.model.rig import Rig

EXAMPLES = int(os.environ.get("ASKBACK_MODEL_EXAMPLES", "0"))
"""More than a few, with random seeds: see `make model`."""
SOON = {
    "timeout without condition": 2,
    "cursor by number": 6,
    "memory not told by the feed": 6,
    "answer after the deadline": 3,
    "own write not known again": 2,
    "reply without a commit": 3,
}
"""Seeds of bugs that need luck: with another they are found too, only later."""


@pytest.fixture
def machine(migrated_db_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Machine]]:
    """The machine over a rig on each database in turn."""
    monkeypatch.setattr(job_store, "SETTLE_PAUSE", 0.0)
    monkeypatch.setattr(job_store, "SETTLE_ATTEMPTS", 2)
    # The rig says when they look: time stands still here.
    monkeypatch.setattr(timers, "POLL", 86_400.0)
    # Nothing here pulls the plug: a commit need not wait for the disk.
    lazy = tuple(p.replace("synchronous=FULL", "synchronous=OFF") for p in sqlite.PRAGMAS)
    monkeypatch.setattr(sqlite, "PRAGMAS", lazy)
    with asyncio.Runner() as runner:
        rig = Rig(migrated_db_url)
        runner.run(rig.open())
        yield type("OneDatabase", (Machine,), {"rig": rig, "run": staticmethod(runner.run)})
        runner.run(rig.close())


def profile(examples: int, steps: int = 30) -> settings:
    return settings(
        max_examples=EXAMPLES or examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=not EXAMPLES,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )


@pytest.mark.timeout(0 if EXAMPLES else 300)
def test_two_replicas_do_what_the_reference_says(machine: type[Machine]) -> None:
    run_state_machine_as_test(machine, settings=profile(15))


@pytest.mark.parametrize("name", [*BUGS, *ON_POSTGRES])
def test_a_planted_bug_is_found(
    name: str, database_kind: str, machine: type[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    if (name in ON_POSTGRES) != (database_kind == "postgres"):
        pytest.skip("planted on the other database")
    (BUGS | ON_POSTGRES)[name](monkeypatch)
    machine = seed(SOON[name])(machine) if name in SOON else machine
    logging.disable(logging.CRITICAL)
    try:
        # Not only an assertion: what is wrong may also break the program, or differ from run to run.
        with pytest.raises(Exception):  # noqa: B017, PT011
            run_state_machine_as_test(machine, settings=profile(300))
    finally:
        logging.disable(logging.NOTSET)
