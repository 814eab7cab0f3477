"""`fold` rebuilds a job's state from its event log and detects an incomplete log.

In all tests of the rules, `JobWorld.do` checks after every change that the result equals the aggregate.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from askback_server.domain.events import Event, EventType, Folded, fold
from askback_server.domain.jobs import JobState
from tests.support.aggregates import HOUR, S1, S2, JobWorld, question, waiting


def story() -> JobWorld:
    """A job with a retry, two prompts, a late answer and a result."""
    world = waiting()
    world.fail()
    world.answer()
    world.lease(S2).ask("b", question("Aside?", blocking=False))
    world.lose(S2).tick(HOUR).lease(S1).complete()
    world.answer("late", "b")
    return world


def test_the_log_contains_everything_that_it_promises() -> None:
    world = story()
    a, b = world.prompt("a").prompt_id, world.prompt("b").prompt_id
    assert fold(world.log) == Folded(
        JobState.COMPLETED, len(world.log), 3, 3, ((a, "ANSWERED"), (b, "CANCELLED"))
    )
    assert [e.type for e in world.log] == [
        EventType.JOB_CREATED,
        EventType.JOB_LEASED,
        EventType.PROMPT_ASKED,
        EventType.JOB_RETRIED,
        EventType.PROMPT_ANSWERED,
        EventType.JOB_LEASED,
        EventType.PROMPT_ASKED,
        EventType.JOB_LEASE_LOST,
        EventType.JOB_LEASED,
        EventType.PROMPT_CANCELLED,
        EventType.JOB_COMPLETED,
        EventType.ANSWER_LATE,
    ]


def test_every_prefix_of_the_log_is_a_state_that_the_job_had() -> None:
    log = story().log
    states = [fold(log[:n]).state for n in range(len(log) + 1)]
    assert states[:8] == [
        None,
        JobState.PENDING,
        JobState.RUNNING,
        JobState.PENDING_HITL,
        JobState.PENDING_HITL,
        JobState.PENDING,
        JobState.RUNNING,
        JobState.RUNNING,
    ]
    assert states[8:] == [JobState.PENDING, JobState.RUNNING, *[JobState.COMPLETED] * 3]
    assert [fold(log[:n]).attempt for n in (1, 3, 4, 7, 8, 12)] == [1, 1, 2, 2, 3, 3]
    assert [fold(log[:n]).token for n in (1, 2, 5, 6, 9)] == [0, 1, 1, 2, 3]


def test_folding_no_events_gives_no_job() -> None:
    assert fold([]) == Folded()


@pytest.mark.parametrize("broken", ["a gap", "twice", "out of order", "beheaded"])
def test_an_incomplete_log_is_detected(broken: str) -> None:
    log = story().log
    broken_log: list[Event] = {
        "a gap": log[:3] + log[4:],
        "twice": [*log[:3], log[2], *log[3:]],
        "out of order": [log[0], log[2], log[1], *log[3:]],
        "beheaded": log[1:],
    }[broken]
    with pytest.raises(ValueError, match="seq"):
        fold(broken_log)


@pytest.mark.parametrize(
    "type", [EventType.PROMPT_ANSWERED, EventType.PROMPT_EXPIRED, EventType.PROMPT_ASKED]
)
def test_a_prompt_that_changes_after_its_end_is_detected(type: EventType) -> None:
    world = waiting()
    world.answer()
    last = world.log[-1]
    with pytest.raises(ValueError, match="after its end"):
        fold([*world.log, replace(last, seq=last.seq + 1, type=type)])
