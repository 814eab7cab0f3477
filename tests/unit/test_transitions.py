"""The two transition tables: every pair of state and trigger, and properties of the graphs."""

from collections.abc import Iterable
from enum import StrEnum
from itertools import product

import pytest

from askback_server.domain.errors import IllegalState, PromptClosed
from askback_server.domain.jobs import TERMINAL, JobState
from askback_server.domain.prompts import PromptState
from askback_server.domain.transitions import (
    JOB_TRANSITIONS,
    PROMPT_TRANSITIONS,
    Actor,
    JobTrigger,
    PromptTrigger,
    next_job_state,
    next_prompt_state,
)

# Section 3 of docs/design.md written a second time: state -> trigger -> state.
JOB_STEPS = {
    "PENDING": {"LEASE": "RUNNING", "CANCEL": "CANCELLED", "FAIL": "FAILED"},
    "RUNNING": {
        "WRITE": "RUNNING", "WAIT": "PENDING_HITL", "RELEASE": "PENDING", "LOSE": "PENDING",
        "OVERRUN": "PENDING", "EXHAUST": "FAILED", "RETRY": "PENDING", "COMPLETE": "COMPLETED",
        "FAIL": "FAILED", "CANCEL_REQUEST": "RUNNING", "CANCEL": "CANCELLED",
    },
    "PENDING_HITL": {
        "WRITE": "PENDING_HITL", "WAIT": "PENDING_HITL", "RESUME": "RUNNING", "REQUEUE": "PENDING",
        "SETTLE": "COMPLETED", "RELEASE": "PENDING_HITL", "LOSE": "PENDING_HITL",
        "RETRY": "PENDING_HITL", "COMPLETE": "COMPLETED", "FAIL": "FAILED",
        "CANCEL_REQUEST": "PENDING_HITL", "CANCEL": "CANCELLED",
    },
    "COMPLETED": {}, "FAILED": {}, "CANCELLED": {},
}  # fmt: skip
PROMPT_STEPS = {
    "PENDING": {
        "AMEND": "PENDING", "CLAIM": "PENDING", "UNCLAIM": "PENDING", "REFUSE": "PENDING",
        "ANSWER": "ANSWERED", "DEFAULT": "ANSWERED", "EXPIRE": "EXPIRED", "CANCEL": "CANCELLED",
        "SUPERSEDE": "SUPERSEDED", "ESCALATE": "PENDING", "REMIND": "PENDING",
        "EXCLUDE": "PENDING", "VOTE": "PENDING", "WITHDRAW": "PENDING", "RULE": "PENDING",
        "DELEGATE": "PENDING", "REROUTE": "PENDING",
    },
    "ANSWERED": {}, "EXPIRED": {}, "CANCELLED": {}, "SUPERSEDED": {},
}  # fmt: skip


@pytest.mark.parametrize(("state", "trigger"), list(product(JobState, JobTrigger)))
def test_every_job_state_and_trigger_has_its_transition(state: JobState, trigger: JobTrigger) -> None:
    to = JOB_STEPS[state].get(trigger)
    if to is not None:
        assert next_job_state("j", state, trigger) is JobState(to)
        return
    with pytest.raises(IllegalState) as refused:
        next_job_state("j", state, trigger)
    assert refused.value.metadata == {"job_id": "j", "state": state.value, "event": trigger.value}


@pytest.mark.parametrize(("state", "trigger"), list(product(PromptState, PromptTrigger)))
def test_every_prompt_state_and_trigger_has_its_transition(
    state: PromptState, trigger: PromptTrigger
) -> None:
    to = PROMPT_STEPS[state].get(trigger)
    if to is not None:
        assert next_prompt_state("p", state, trigger) is PromptState(to)
        return
    with pytest.raises(PromptClosed) as refused:
        next_prompt_state("p", state, trigger)
    assert refused.value.metadata == {"prompt_id": "p", "state": state.value}


def reachable(start: Iterable[StrEnum], steps: dict[tuple[StrEnum, StrEnum], StrEnum]) -> set[StrEnum]:
    found = set(start)
    while more := {to for (at, _), to in steps.items() if at in found} - found:
        found |= more
    return found


def test_every_job_state_is_reached_and_every_open_one_can_end() -> None:
    steps = {at: step.to for at, step in JOB_TRANSITIONS.items()}
    assert reachable([JobState.PENDING], steps) == set(JobState)
    for state in set(JobState) - TERMINAL:
        assert reachable([state], steps) >= TERMINAL
    for state in TERMINAL:
        assert reachable([state], steps) == {state}


def test_every_prompt_state_is_reached_and_all_but_one_are_final() -> None:
    steps = {at: step.to for at, step in PROMPT_TRANSITIONS.items()}
    assert reachable([PromptState.PENDING], steps) == set(PromptState)
    assert {at for at, _ in PROMPT_TRANSITIONS} == {PromptState.PENDING}


def test_every_trigger_is_used_and_every_step_has_words_and_a_cause() -> None:
    assert {t for _, t in JOB_TRANSITIONS} == set(JobTrigger)
    assert {t for _, t in PROMPT_TRANSITIONS} == set(PromptTrigger)
    for step in (*JOB_TRANSITIONS.values(), *PROMPT_TRANSITIONS.values()):
        assert step.by
        assert step.meaning
        assert "|" not in step.meaning, "the meaning stands in a table of docs/states.md"


def test_only_the_system_times_out_and_only_workers_take_jobs() -> None:
    for trigger in (PromptTrigger.DEFAULT, PromptTrigger.EXPIRE):
        assert PROMPT_TRANSITIONS[PromptState.PENDING, trigger].by == (Actor.SYSTEM,)
    assert PROMPT_TRANSITIONS[PromptState.PENDING, PromptTrigger.ANSWER].by == (Actor.PERSON,)
    assert [step.by for (_, t), step in JOB_TRANSITIONS.items() if t is JobTrigger.LEASE] == [(Actor.WORKER,)]
    assert {step.by for (_, t), step in JOB_TRANSITIONS.items() if t is JobTrigger.LOSE} == {(Actor.SYSTEM,)}
