"""Random commands and faults on two replicas give the replies of the reference model, on both databases."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.internal.conjecture import providers
from hypothesis.stateful import run_state_machine_as_test

from askback_server.engine import policy, timers
from askback_server.storage import job_store, sqlite
from tests.model import absence_bugs, bugs, proposal_bugs, rule_bugs
from tests.model.machine import Machine
from tests.model.proposals import TIMEOUT
from tests.model.rig import Rig

BUGS = bugs.BUGS | rule_bugs.BUGS | absence_bugs.BUGS | proposal_bugs.BUGS
ON_POSTGRES = bugs.ON_POSTGRES | rule_bugs.ON_POSTGRES
EXAMPLES = int(os.environ.get("ASKBACK_MODEL_EXAMPLES", "0"))
"""Number of examples, with random seeds; by default few, with fixed seeds. See `make model`."""
SEEDS = {
    "a right that was given away remains": 0,
    "delegations do not end": 9,
    "session not guarded": 1,
    "excluded people answer": 1,
    "votes survive an amendment": 11,
    "timeout without condition": 0,
    "cursor ignores the horizon": 10,
    "rules not guarded on PostgreSQL": 0,
    "rules not guarded": 0,
    "rule set not guarded": 5,
    "author of a rule not guarded": 1,
    "first rule decides": 1,
    "most specific rule decides": 6,
    "rule of an excluded author": 2,
    "rule by a right that was given away": 8,
    "rule passes over a claim": 11,
    "one use more": 0,
    "an error is no match": 5,
    "rule widens the audience": 5,
    "the end of an absence is no time of the prompt": 4,
    "a deleted absence still routes": 4,
    "an excluded person is a substitute": 2,
    "a person with a vote is a substitute": 4,
    "a substitute who has voted is skipped": 4,
    "a right remains that followed from an absence": 4,
    "a delegation and an absence give a right twice": 0,
    "an ended absence still routes": 0,
    "open prompts are not reviewed": 0,
    "absences of a person overlap": 0,
    "absences read only at the start": 0,
    "substitutes in a circle": 0,
    "a claim extends an absence": 4,
    "votes end with the absence": 4,
    "a proposed rule is on at once": 0,
    "an author approves its rule": 0,
    "a proposal is activated twice": 2,
    "an overtaken proposal is still asked about": 0,
    "a rule that is off keeps its proposal": 0,
    "a proposal that was rejected is activated": 0,
    "the timeout of a route is ignored": 1,
    "a route extends the timeout": 2,
}
"""Seeds that find a bug in the first examples: other seeds find it too, but later."""


@pytest.fixture
def machine(migrated_db_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Machine]]:
    """The state machine on each database in turn."""
    # Hypothesis also draws numbers that it finds in the source of our modules which are imported by then:
    # with the same seed it would draw others after other tests.
    monkeypatch.setattr(providers, "_get_local_constants", lambda: providers.Constants())
    monkeypatch.setattr(job_store, "SETTLE_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(job_store, "SETTLE_ATTEMPTS", 2)
    # Time is simulated: the rig makes the timers poll.
    monkeypatch.setattr(timers, "POLL_SECONDS", 86_400.0)
    monkeypatch.setattr(policy, "APPROVAL_TIMEOUT", timedelta(seconds=TIMEOUT))
    # No test cuts the power: commits need not wait for the disk.
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


class Found(BaseException):
    """An error of the state machine. Hypothesis repeats an example that raises an Exception; this ends it."""


def ending_at_an_error(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Like `run`. Any error counts: a bug may also crash the engine."""

    def run_or_end(work: Any) -> Any:
        try:
            return run(work)
        except Exception as error:
            raise Found from error

    return run_or_end


@pytest.mark.timeout(0 if EXAMPLES else 300)
def test_two_replicas_reply_like_the_reference_model(machine: type[Machine]) -> None:
    run_state_machine_as_test(machine, settings=profile(10))


def features_of(name: str) -> dict[str, int]:
    """What the runs have that are to find a bug. With less beside it, it is found sooner."""
    if name in absence_bugs.BUGS:
        # The directory changes with rules.
        return {"with_rules": "inactive" in name, "with_absences": True}
    if name in proposal_bugs.BUGS:
        return {"with_rules": True, "with_absences": False, "proposals": 20}
    return {"with_absences": False, "proposals": 0}


@pytest.mark.long
@pytest.mark.parametrize(
    ("database_kind", "name"),
    [*(("sqlite", name) for name in BUGS), *(("postgres", name) for name in ON_POSTGRES)],
    indirect=["database_kind"],
)
def test_the_state_machine_finds_each_planted_bug(
    name: str, machine: type[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    (BUGS | ON_POSTGRES)[name](monkeypatch)
    ending = {"run": staticmethod(ending_at_an_error(machine.run))}
    machine = type("FirstError", (machine,), ending | features_of(name))
    machine = seed(SEEDS[name])(machine) if name in SEEDS else machine
    logging.disable(logging.CRITICAL)
    try:
        # Also what the machine raises outside the event loop, or Hypothesis when a race goes another way.
        with pytest.raises((Found, Exception)):
            run_state_machine_as_test(machine, settings=profile(300))
    finally:
        logging.disable(logging.NOTSET)
