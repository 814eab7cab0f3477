"""The times of a job: its start, its deadline, and the run clock, which stops while people are asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.content import FinalAction
from askback_server.domain.errors import IdReused, IllegalState, InvalidField, LeaseLost
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerStatus, PromptState
from tests.support.aggregates import (
    HOUR,
    S1,
    S2,
    SECOND,
    JobWorld,
    deadline,
    fields_of,
    question,
    running,
    waiting,
)

INSTANT = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)


def failure(world: JobWorld) -> str:
    assert world.job.failure is not None
    return world.job.failure.code


# --- when a job starts ---


@pytest.mark.parametrize("how", ["delay", "time"])
def test_a_job_is_not_leased_before_its_start(how: str) -> None:
    world = JobWorld()
    starts = world.now + HOUR
    world.create(**({"start_delay": HOUR} if how == "delay" else {"start_at": starts}))
    assert (world.state, world.job.ready_at) == (JobState.PENDING, starts)
    world.tick(HOUR - INSTANT)
    with pytest.raises(IllegalState, match="not ready yet"):
        world.lease()
    world.tick(INSTANT).lease()
    assert world.guard.not_before == starts


def test_a_start_in_the_past_means_now() -> None:
    world = JobWorld()
    world.create(start_at=world.now - HOUR)
    assert world.job.ready_at == world.now


def test_the_deadline_counts_from_the_start() -> None:
    world = JobWorld()
    world.create(start_delay=HOUR, timeout=2 * HOUR)
    assert world.job.expires_at == world.now + 3 * HOUR


@pytest.mark.parametrize(
    "times", [{"start_delay": HOUR}, {"timeout": HOUR}, {"run_timeout": HOUR}], ids=lambda t: next(iter(t))
)
def test_times_are_part_of_the_request(times: dict[str, Any]) -> None:
    world = JobWorld()
    world.create(request_id="r", **times)
    assert world.create(request_id="r", **times).replayed
    for other in ({}, {name: span + SECOND for name, span in times.items()}):
        with pytest.raises(IdReused):
            world.create(request_id="r", **other)


def test_a_request_without_times_keeps_its_digest() -> None:
    """Otherwise a request that is retried across an upgrade would be refused."""
    world = JobWorld()
    world.create(request_id="r")
    assert world.job.request_digest == "c6fa6b490860569dc4c7031afffe881d"


@pytest.mark.parametrize(
    ("times", "prompt", "fields"),
    [
        ({"start_delay": -SECOND}, False, {"start_delay"}),
        ({"start_delay": timedelta(days=367)}, False, {"start_delay"}),
        ({"start_at": JobWorld().now + timedelta(days=367)}, False, {"start_time"}),
        ({"timeout": timedelta(0)}, False, {"timeout"}),
        ({"run_timeout": timedelta(days=367)}, False, {"run_timeout"}),
        ({"start_delay": HOUR, "run_timeout": HOUR}, True, {"start_delay", "run_timeout"}),
        ({"start_at": JobWorld().now}, True, {"start_time"}),
    ],
)
def test_contradictory_times_are_refused(times: dict[str, Any], prompt: bool, fields: set[str]) -> None:
    with pytest.raises(InvalidField) as refused:
        JobWorld().create(question() if prompt else None, **times)
    assert fields_of(refused.value) == fields


# --- the deadline of a whole job ---


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "PENDING_HITL", "parked", "workerless"])
def test_the_deadline_ends_a_job_in_every_state(state: str) -> None:
    world = JobWorld()
    world.create(question() if state == "workerless" else None, timeout=HOUR)
    due = world.now + HOUR
    if state not in ("PENDING", "workerless"):
        world.lease()
    if state in ("PENDING_HITL", "parked"):
        world.ask("a", deadline(FinalAction.EXPIRE, 5 * HOUR))
    if state == "parked":
        world.release()
    assert world.on_job(c.RunDue) == due
    world.tick(HOUR - INSTANT).expire()
    assert world.change is None
    world.tick(INSTANT).expire()
    assert (world.state, failure(world), world.job.attempt) == (JobState.FAILED, "DEADLINE_EXCEEDED", 1)
    assert world.guard.not_before == due
    assert world.log[-1].actor == "system"
    if state in ("PENDING_HITL", "parked"):
        prompt = world.prompt()
        assert (prompt.state, prompt.resolution and prompt.resolution.reason) == (
            PromptState.CANCELLED,
            "the job failed",
        )
        assert world.answer().status is AnswerStatus.CLOSED
    world.expire()
    assert world.change is None


def test_a_job_that_ended_before_its_deadline_is_not_changed_by_it() -> None:
    world = running(timeout=HOUR)
    world.tick(HOUR).complete()
    assert world.state is JobState.COMPLETED, "the first commit wins"
    world.tick(HOUR).expire()
    assert world.change is None


def test_attempts_do_not_change_the_deadline() -> None:
    world = running(timeout=HOUR)
    due = world.job.expires_at
    world.tick(30 * MINUTE).fail()
    world.tick(HOUR).expire()
    assert (world.job.expires_at, failure(world)) == (due, "DEADLINE_EXCEEDED")


def test_an_answer_after_the_job_deadline_is_late_and_ends_the_job() -> None:
    world = waiting(timeout=HOUR)
    reply = world.tick(HOUR).answer()
    assert reply.status is AnswerStatus.CLOSED
    assert world.state is JobState.FAILED
    assert world.guard.not_before == world.now


def test_asking_after_the_deadline_is_refused() -> None:
    world = running(timeout=HOUR)
    with pytest.raises(LeaseLost):
        world.tick(HOUR).ask("a")
    assert (world.state, world.job.rounds) == (JobState.FAILED, 0)


def test_a_requested_cancel_decides_the_state_at_the_deadline() -> None:
    world = running(timeout=HOUR)
    world.tick(HOUR).cancel()
    world.expire()
    assert world.state is JobState.CANCELLED


# --- the run clock ---


def test_an_attempt_that_runs_too_long_is_retried_and_finally_fails() -> None:
    world = running(run_timeout=10 * MINUTE, max_attempts=2)
    due = world.now + 10 * MINUTE
    assert world.job.run_until == due
    world.tick(10 * MINUTE - INSTANT).expire()
    assert world.change is None
    world.tick(INSTANT).expire()
    assert (world.state, world.job.attempt, failure(world)) == (JobState.PENDING, 2, "RUN_TIMEOUT")
    assert world.events() == [EventType.JOB_RETRIED]
    assert (world.guard.not_before, world.guard.session) == (due, None)
    assert (world.job.session_id, world.job.run_until, world.job.run_left) == (None, None, None)
    assert world.job.ready_at == world.now + SECOND, "after a backoff"
    with pytest.raises(LeaseLost):
        world.on_job(c.CompleteJob, result_json="1", token=1)
    world.tick(MINUTE).lease()
    assert world.job.run_until == world.now + 10 * MINUTE, "each attempt has all of it"
    world.tick(10 * MINUTE).expire()
    assert (world.state, failure(world)) == (JobState.FAILED, "RUN_TIMEOUT")


def test_the_run_clock_stops_while_people_are_asked() -> None:
    world = running(run_timeout=10 * MINUTE)
    world.tick(4 * MINUTE).ask("a")
    assert (world.job.run_until, world.job.run_left) == (None, 6 * MINUTE)
    world.tick(timedelta(days=9)).expire()
    assert world.change is None
    world.answer()
    assert world.state is JobState.RUNNING
    assert (world.job.run_until, world.job.run_left) == (world.now + 6 * MINUTE, None)
    world.tick(MINUTE).ask("b")
    world.tick(timedelta(days=9)).release()
    world.answer(key="b")
    assert (world.state, world.job.run_left) == (JobState.PENDING, 5 * MINUTE)
    world.tick(HOUR).lease(S2)
    assert world.job.run_until == world.now + 5 * MINUTE, "going on is the same attempt"
    world.tick(5 * MINUTE).expire()
    assert failure(world) == "RUN_TIMEOUT"


def test_a_question_that_does_not_block_stops_no_clock() -> None:
    world = running(run_timeout=10 * MINUTE)
    until = world.job.run_until
    world.tick(MINUTE).ask("a", question(blocking=False))
    assert world.job.run_until == until
    world.tick(9 * MINUTE).expire()
    assert world.prompt().is_open, "the next attempt finds it"
    assert failure(world) == "RUN_TIMEOUT"


def test_a_release_keeps_the_remaining_run_time_and_a_failure_restores_it() -> None:
    world = running(run_timeout=10 * MINUTE)
    world.tick(4 * MINUTE).release()
    assert world.job.run_left == 6 * MINUTE
    world.tick(MINUTE).lease()
    world.tick(MINUTE).fail()
    assert world.job.run_left is None
    world.tick(MINUTE).lease().lose(S1)
    assert (world.job.run_left, world.job.attempt) == (None, 3)


def test_asking_after_the_run_time_is_refused_and_ends_the_attempt() -> None:
    world = running(run_timeout=10 * MINUTE)
    with pytest.raises(LeaseLost):
        world.tick(10 * MINUTE).ask("a")
    assert (world.state, world.job.attempt, world.job.rounds) == (JobState.PENDING, 2, 0)


def test_an_overrun_after_a_cancel_request_cancels_the_job() -> None:
    world = running(run_timeout=MINUTE)
    world.tick(MINUTE).cancel()
    world.expire()
    assert world.state is JobState.CANCELLED


def test_job_times_that_passed_together_count_in_their_order() -> None:
    world = waiting(deadline(FinalAction.EXPIRE, HOUR), timeout=2 * HOUR, run_timeout=10 * MINUTE)
    world.tick(3 * HOUR).expire()
    assert world.events() == [EventType.PROMPT_EXPIRED, EventType.JOB_FAILED]
    assert failure(world) == "DEADLINE_EXCEEDED"


def test_a_job_without_times_has_nothing_due() -> None:
    world = waiting()
    world.answer()
    world.complete()
    job = world.job
    times = (job.timeout, job.expires_at, job.run_timeout, job.run_until, job.run_left, job.due_at)
    assert times == (None,) * 6
