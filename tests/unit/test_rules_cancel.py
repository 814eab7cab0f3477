"""Cancelling a job: at once, on request to its holder, or when the grace ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from askback_server.domain import commands as c
from askback_server.domain.content import FinalAction
from askback_server.domain.errors import IllegalState, InvalidField
from askback_server.domain.events import EventType
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.prompts import PromptState
from tests.support.aggregates import HOUR, S1, SECOND, JobWorld, deadline, question, running, waiting


def pending() -> JobWorld:
    world = JobWorld()
    world.create()
    return world


def world_with_parked_job() -> JobWorld:
    return waiting().release()


def workerless() -> JobWorld:
    world = JobWorld()
    world.create(question())
    return world


@pytest.mark.parametrize("situation", [pending, world_with_parked_job, workerless])
def test_a_job_without_a_holder_is_cancelled_at_once(situation: Callable[[], JobWorld]) -> None:
    world = situation()
    job = world.cancel("not needed")
    assert (job.state, job.cancel_reason, job.completed_at) == (
        JobState.CANCELLED,
        "not needed",
        world.now,
    )
    assert (job.cancel_requested_at, job.cancel_at) == (None, None)
    assert world.log[-1].data == {"reason": "not needed"}
    for prompt in world.aggregate.prompts.values():
        assert prompt.state is PromptState.CANCELLED
        assert prompt.resolution is not None
        assert prompt.resolution.reason == "the job was cancelled"


@pytest.mark.parametrize("situation", [running, waiting])
def test_cancelling_a_held_job_only_requests_it(situation: Callable[[], JobWorld]) -> None:
    world = situation()
    state = world.state
    job = world.cancel("not needed")
    assert (job.state, job.session_id) == (state, S1.session_id)
    assert (job.cancel_requested_at, job.cancel_at) == (world.now, world.now + world.limits.cancel_grace)
    assert world.events() == [EventType.JOB_CANCEL_REQUESTED]
    assert world.log[-1].data == {"reason": "not needed"}
    again = world.tick(SECOND).cancel("other words")
    assert (again, world.change) == (job, None)


@pytest.mark.parametrize("situation", [running, waiting])
@pytest.mark.parametrize("confirm", [JobWorld.fail, JobWorld.release, JobWorld.lose])
def test_the_holder_confirms_by_any_way_of_giving_the_job_up(
    situation: Callable[[], JobWorld], confirm: Callable[[JobWorld], object]
) -> None:
    world = situation()
    world.cancel("not needed")
    confirm(world)
    job = world.job
    assert (job.state, job.attempt, job.failure, job.cancel_at) == (JobState.CANCELLED, 1, None, None)
    assert world.log[-1].data == {"reason": "not needed"}


@pytest.mark.parametrize("situation", [running, waiting])
def test_the_end_of_the_grace_cancels_the_job_and_not_earlier(situation: Callable[[], JobWorld]) -> None:
    world = situation()
    world.cancel()
    end = world.job.cancel_at
    assert end is not None
    world.tick(world.limits.cancel_grace - SECOND).on_job(c.EndGrace)
    assert world.change is None
    world.tick(SECOND).on_job(c.EndGrace)
    assert (world.state, world.guard.not_before) == (JobState.CANCELLED, end)
    world.on_job(c.EndGrace)
    assert world.change is None


def test_a_completion_before_the_cancel_request_arrives_completes_the_job() -> None:
    world = running()
    world.cancel()
    job: Job = world.complete()
    assert (job.state, job.cancel_at) == (JobState.COMPLETED, None)
    world.tick(HOUR).on_job(c.EndGrace)
    assert world.change is None


def test_people_may_answer_while_a_cancel_is_requested() -> None:
    world = waiting()
    world.cancel()
    world.answer()
    assert (world.state, world.job.cancel_requested_at) == (JobState.RUNNING, world.now)


@pytest.mark.parametrize("how", ["answer", "withdraw", "expire", "default"])
def test_a_cancel_request_is_fulfilled_when_the_holder_expires(how: str) -> None:
    world = waiting(deadline(FinalAction.DEFAULT if how == "default" else FinalAction.EXPIRE))
    world.ask("b", question("By the way?", blocking=False))
    world.cancel("not needed")
    world.dead.add(S1.session_id)
    if how == "answer":
        world.answer()
    elif how == "withdraw":
        world.on_prompt(c.CancelPrompt)
    else:
        world.tick(HOUR).expire()
    assert world.state is JobState.CANCELLED
    closing, *rest = world.events()
    assert closing is not EventType.JOB_CANCELLED
    assert rest == [EventType.PROMPT_CANCELLED, EventType.JOB_CANCELLED]


def test_an_ended_job_is_not_cancelled_but_a_repeated_cancel_succeeds() -> None:
    world = running()
    world.complete()
    with pytest.raises(IllegalState) as refused:
        world.cancel()
    assert refused.value.metadata == {
        "state": "COMPLETED",
        "event": "CANCEL",
        "job_id": world.job.job_id,
    }
    world = pending()
    job = world.cancel("first")
    assert (world.cancel("second"), world.change) == (job, None)


def test_the_reason_of_a_cancel_is_bounded() -> None:
    with pytest.raises(InvalidField):
        pending().cancel("x" * 1001)
