"""Jobs that continue with the first of several answers; uncounted attempts; reworded questions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.content import FinalAction
from askback_server.domain.errors import IdReused, IllegalState, LeaseLost
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState, Wake
from tests.support.aggregates import ANN, HOUR, S1, S2, SECOND, JobWorld, deadline, question, running, waiting

MINUTE = timedelta(minutes=1)
AWAITED = ("a", "b")


def several(*keys: str, **fields: Any) -> JobWorld:
    """A held job that waits for these prompts and continues with the first answer."""
    world = running(**fields)
    for key in keys or AWAITED:
        world.ask(key, wakes=True)
    return world


def release(world: JobWorld, *awaited: str, at_work: bool = False) -> JobWorld:
    world.on_job(c.ReleaseJob, awaited=awaited, at_work=at_work)
    return world


# --- the first answer ---


def test_a_parked_job_runs_after_the_first_answer() -> None:
    world = release(several(), *AWAITED)
    assert (world.state, world.job.ready_at) == (JobState.PENDING_HITL, None)
    world.answer(key="b")
    assert (world.state, world.job.ready_at, world.job.open_prompts) == (JobState.PENDING, world.now, 1)
    world.lease(S2)
    assert world.state is JobState.RUNNING


@pytest.mark.parametrize("how", ["withdraw", "expire"])
def test_every_end_of_a_prompt_wakes_the_parked_job(how: str) -> None:
    world = running()
    world.ask("a", deadline(FinalAction.EXPIRE), wakes=True)
    world.ask("b", wakes=True)
    release(world, *AWAITED)
    world.on_prompt(c.CancelPrompt) if how == "withdraw" else world.tick(HOUR).expire()
    assert world.state is JobState.PENDING


def test_a_job_without_wakes_waits_for_all_prompts() -> None:
    world = running()
    world.ask("a")
    world.ask("b")
    world.release().answer(key="a")
    assert world.state is JobState.PENDING_HITL
    world.answer(key="b")
    assert world.state is JobState.PENDING


def test_a_woken_job_waits_again_when_it_asks_again() -> None:
    world = release(several("a", "b", "d"), "a", "b", "d")
    world.answer(key="b")
    world.lease(S2)
    assert world.ask("a", wakes=True).replayed
    assert world.events() == [EventType.JOB_WAITS]
    assert (world.state, world.job.open_blocking) == (JobState.PENDING_HITL, 2)
    assert world.ask("d", wakes=True).replayed
    assert world.change is None, "the others hold it already"
    release(world, "a", "d")
    assert world.state is JobState.PENDING_HITL, "it waits for open prompts only: it is not run at once"
    world.answer(key="d")
    assert world.state is JobState.PENDING


def test_a_prompt_asked_by_a_woken_job_is_waited_for_with_the_others() -> None:
    world = release(several(), *AWAITED)
    world.answer(key="a")
    world.lease(S2).ask("c", wakes=True)
    assert (world.state, world.job.open_blocking) == (JobState.PENDING_HITL, 2)
    release(world, "c").answer(key="c")
    assert world.state is JobState.PENDING


@pytest.mark.parametrize("blocking", [True, False])
def test_an_open_prompt_may_be_amended_by_a_woken_job(blocking: bool) -> None:
    world = release(several(), *AWAITED)
    world.answer(key="a")
    world.lease(S2).ask("b", question("And now?", blocking=blocking), wakes=True)
    waits = JobState.PENDING_HITL if blocking else JobState.RUNNING
    assert (world.state, world.job.open_blocking) == (waits, int(blocking))
    world.answer(key="b")
    assert world.state is JobState.RUNNING


def test_prompts_may_end_while_a_woken_job_runs() -> None:
    world = release(several("a", "b", "d"), "a", "b", "d")
    world.answer(key="a")
    world.answer(key="b")
    assert (world.state, world.job.open_blocking) == (JobState.PENDING, 0)
    world.lease(S2).answer(key="d")
    assert (world.state, world.job.open_prompts) == (JobState.RUNNING, 0)
    world.complete()


def test_a_woken_job_may_end_with_open_prompts() -> None:
    world = release(several(), *AWAITED)
    world.answer(key="a")
    world.lease(S2).complete()
    assert (world.state, world.job.open_prompts) == (JobState.COMPLETED, 0)


def test_an_answer_that_crosses_the_release_wakes_the_job() -> None:
    world = several()
    world.answer(key="a")
    release(world, *AWAITED)
    assert (world.state, world.job.ready_at) == (JobState.PENDING, world.now)


def test_a_job_that_saw_one_answer_is_parked_for_the_others() -> None:
    world = several("a", "b", "d")
    world.answer(key="a")
    release(world, "b", "d")
    assert (world.state, world.job.ready_at) == (JobState.PENDING_HITL, None)


@pytest.mark.parametrize("how", ["lost", "goodbye", "at work", "retried"])
def test_a_job_lost_while_working_on_an_answer_is_run_again(how: str) -> None:
    world = several()
    world.answer(key="a")
    if how == "lost":
        world.lose()
    elif how == "retried":
        world.fail()
        assert (world.job.attempt, world.job.ready_at) == (2, world.now + SECOND)
    else:
        release(world, at_work=how == "at work")
    assert world.state is JobState.PENDING
    world.tick(SECOND).lease(S2)


@pytest.mark.parametrize("how", ["lost", "goodbye"])
def test_a_lost_job_that_only_waits_needs_no_worker(how: str) -> None:
    world = several()
    world.lose() if how == "lost" else release(world)
    assert (world.state, world.job.ready_at) == (JobState.PENDING_HITL, None)


def test_a_job_lost_in_its_rerun_is_run_again() -> None:
    """It was started for an answer and may have been working on it."""
    world = release(several(), *AWAITED)
    world.answer(key="a")
    world.lease(S2).ask("b", wakes=True)
    world.lose(S2)
    assert (world.state, world.job.attempt) == (JobState.PENDING, 1)


def test_the_last_answer_ends_the_wait_of_the_holder() -> None:
    world = several()
    world.answer(key="a")
    assert world.job.wake is Wake.DUE
    world.answer(key="b")
    assert (world.state, world.job.wake) == (JobState.RUNNING, Wake.ANY)
    world.ask("c", wakes=True)
    world.lose()
    assert world.state is JobState.PENDING_HITL, "it only waits for c"


def test_a_parked_job_with_a_requested_cancel_is_not_run() -> None:
    world = several()
    world.cancel()
    world.dead.add(S1.session_id)
    world.answer(key="a")
    world.lose()
    assert world.state is JobState.CANCELLED


def test_a_waiting_job_cannot_be_leased() -> None:
    world = release(several(), *AWAITED)
    with pytest.raises(IllegalState):
        world.lease(S2)


# --- attempts that are not counted ---


def fail_and_measure_delay(world: JobWorld) -> timedelta:
    """Fail without counting the attempt; returns the delay."""
    job = world.fail(keep_attempt=True)
    assert job.ready_at is not None
    return job.ready_at - world.now


def test_the_delay_doubles_to_five_minutes_and_uses_no_attempt() -> None:
    world, delays = running(max_attempts=1), []
    for _ in range(14):
        delays.append(fail_and_measure_delay(world) / SECOND)
        assert (world.state, world.job.attempt) == (JobState.PENDING, 1)
        world.tick(delays[-1] * SECOND).lease()
    assert delays == [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]


def test_uncounted_failures_fail_the_job_after_a_day() -> None:
    world = running()
    fail_and_measure_delay(world)
    world.tick(24 * HOUR - SECOND).lease()
    assert fail_and_measure_delay(world) == 5 * MINUTE
    world.tick(5 * MINUTE).lease()
    failed = world.fail(keep_attempt=True)
    assert failed.state is JobState.FAILED
    assert failed.failure is not None
    assert failed.failure.code == "E"
    assert "24 hours" in failed.failure.message


def test_checkpoints_and_other_failures_do_not_restart_the_day() -> None:
    world = running(max_attempts=5)
    fail_and_measure_delay(world)
    world.tick(23 * HOUR).lease()
    world.on_job(c.SaveCheckpoint, key=f"k{world.job.token}", value_json="1")
    world.fail()
    world.tick(HOUR).lease().release().lease()
    assert world.fail(keep_attempt=True).state is JobState.FAILED


def test_a_new_question_restarts_the_day() -> None:
    world = running()
    fail_and_measure_delay(world)
    world.tick(23 * HOUR).lease().ask("a")
    world.tick(23 * HOUR).answer()
    assert fail_and_measure_delay(world) == SECOND
    assert world.job.attempt == 1


def test_a_permanent_failure_and_a_cancel_request_take_precedence() -> None:
    assert running().fail(retryable=False, keep_attempt=True).state is JobState.FAILED
    world = running()
    world.cancel()
    assert world.fail(keep_attempt=True).state is JobState.CANCELLED


def test_a_job_with_open_prompts_keeps_them_over_an_uncounted_failure() -> None:
    world = waiting()
    assert world.fail(keep_attempt=True).state is JobState.PENDING_HITL
    assert world.events() == [EventType.JOB_RETRIED]
    world.tick(48 * HOUR).answer()
    assert world.state is JobState.PENDING


def test_the_run_clock_continues_over_uncounted_failures() -> None:
    world = running(run_timeout=10 * SECOND)
    world.tick(4 * SECOND)
    fail_and_measure_delay(world)
    world.tick(SECOND).lease()
    assert world.job.run_until == world.now + 6 * SECOND


# --- the same question in other words ---


def test_a_reworded_question_keeps_its_answer_and_is_logged_once() -> None:
    world = waiting()
    world.answer()
    before = world.prompt()
    for title in ("Go on, please?", "Go on then?"):
        asked = world.ask("a", question(title), same=True)
        assert asked.replayed
        assert asked.prompt.resolution == before.resolution
        assert asked.prompt.content == before.content
        assert asked.prompt.shown_digest == before.shown_digest, "that of what people answered"
        [event] = world.change.events if world.change else []
        assert event.type is EventType.PROMPT_REWORDED
        digests = {"digest": before.digest, "asked_digest": asked.prompt.same_digest}
        assert event.data == {"round": 1, "key": "a", **digests}
        assert digests["asked_digest"] not in ("", before.digest)
        assert world.ask("a", question(title), same=True).prompt == asked.prompt
        assert world.change is None
    assert world.ask("a").prompt.resolution == before.resolution


def test_another_question_is_refused_with_both_wordings() -> None:
    world = waiting()
    world.answer()
    world.ask("a", question("Go on, please?"), same=True)
    with pytest.raises(IdReused, match=r"'Go on\?'.*'Go on, please\?'.*`same`"):
        world.ask("a", question("Go on, please?"))


def test_rewording_an_open_prompt_amends_it() -> None:
    world = waiting()
    asked = world.ask("a", question("Go on, please?"), same=True)
    assert (asked.prompt.revision, asked.prompt.content.title) == (2, "Go on, please?")
    assert world.events() == [EventType.PROMPT_AMENDED]


def test_only_the_holder_may_reword_a_question() -> None:
    world = waiting()
    world.answer()
    with pytest.raises(LeaseLost):
        world.ask("a", question("Go on, please?"), same=True, token=world.job.token - 1)
    assert world.answer("late", principal=ANN).prompt.same_digest == ""
