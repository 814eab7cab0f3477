"""Deadlines of prompts: three final actions, never early, and the first commit wins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from askback_server.domain import commands as c
from askback_server.domain.answers import AnswerSource
from askback_server.domain.content import DefaultAnswer, FinalAction
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import PromptClosed
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerStatus, PromptState
from tests.support.aggregates import HOUR, S1, SECOND, JobWorld, deadline, question, waiting

INSTANT = timedelta(microseconds=1)
EXPIRE, DEFAULT, FAIL_JOB = FinalAction.EXPIRE, FinalAction.DEFAULT, FinalAction.FAIL_JOB


@pytest.mark.parametrize("final", FinalAction)
def test_a_prompt_expires_not_early_and_guarded_by_the_databases_clock(final: FinalAction) -> None:
    world = waiting(deadline(final))
    due = world.now + HOUR
    assert world.prompt().expires_at == due
    world.tick(HOUR - INSTANT).expire()
    assert world.change is None
    world.tick(INSTANT).expire()
    assert (world.guard.not_before, world.guard.not_after) == (due, None)
    assert not world.prompt().is_open
    world.expire()
    assert world.change is None, "a deadline fires once"


def test_the_expire_action_resumes_the_job_without_an_answer() -> None:
    world = waiting(deadline(EXPIRE)).tick(HOUR).expire()
    prompt = world.prompt()
    assert (prompt.state, world.state) == (PromptState.EXPIRED, JobState.RUNNING)
    assert world.events() == [EventType.PROMPT_EXPIRED]
    assert prompt.resolution is not None
    assert (prompt.resolution.actor, prompt.resolution.answer) == ("system", None)


def test_the_default_action_takes_the_stated_answer_and_marks_its_source() -> None:
    world = waiting(deadline(DEFAULT)).tick(HOUR).expire()
    prompt = world.prompt()
    assert (prompt.state, world.state) == (PromptState.ANSWERED, JobState.RUNNING)
    assert prompt.resolution is not None
    answer = prompt.resolution.answer
    assert answer is not None
    assert (answer.decision, answer.comment) == (Decision.REJECT, "too late")
    assert (answer.source, answer.user_id) == (AnswerSource.TIMEOUT_DEFAULT, "")
    assert answer.answer_id == f"default:{prompt.prompt_id}"
    assert prompt.submissions == 0, "nobody submitted it"
    assert world.log[-1].data == {
        "round": 1,
        "key": "a",
        "answer_id": answer.answer_id,
        "decision": "REJECT",
        "source": "TIMEOUT_DEFAULT",
    }


@pytest.mark.parametrize("state", [JobState.PENDING_HITL, JobState.RUNNING, JobState.PENDING])
def test_the_fail_job_action_ends_the_job_and_its_other_prompts(state: JobState) -> None:
    world = waiting(deadline(FAIL_JOB, blocking=state is JobState.PENDING_HITL))
    world.ask("b", question("And this?", blocking=False))
    if state is JobState.PENDING:
        world.release()
    assert world.state is state
    world.tick(HOUR).expire()
    assert world.events() == [
        EventType.PROMPT_EXPIRED,
        EventType.PROMPT_CANCELLED,
        EventType.JOB_FAILED,
    ]
    assert (world.state, world.job.attempt) == (JobState.FAILED, 1)
    assert world.job.failure is not None
    assert world.job.failure.code == "PROMPT_EXPIRED"


def test_a_prompt_without_a_deadline_never_expires() -> None:
    world = waiting().tick(timedelta(days=3650)).expire()
    assert (world.change, world.state) == (None, JobState.PENDING_HITL)


def test_a_deadline_wakes_a_job_whose_holder_has_expired() -> None:
    world = waiting(deadline(EXPIRE))
    world.dead.add(S1.session_id)
    world.tick(HOUR).expire()
    assert (world.state, world.job.ready_at) == (JobState.PENDING, world.now)


def test_deadlines_that_passed_together_count_in_their_order() -> None:
    """With a late timer, a later deadline must not win over an earlier one."""
    world = waiting(deadline(FAIL_JOB, 3 * HOUR))
    world.ask("b", deadline(DEFAULT, 2 * HOUR))
    world.ask("c", deadline(EXPIRE, 4 * HOUR))
    start = world.now
    world.tick(5 * HOUR).expire()
    states = {key: world.prompt(key).state for key in "abc"}
    assert states == {
        "a": PromptState.EXPIRED,
        "b": PromptState.ANSWERED,
        "c": PromptState.CANCELLED,
    }
    assert world.state is JobState.FAILED
    assert world.guard.not_before == start + 3 * HOUR, "only what fired is guarded"


def test_several_due_prompts_resume_the_job_once() -> None:
    world = waiting(deadline(EXPIRE))
    world.ask("b", deadline(EXPIRE, 2 * HOUR))
    world.ask("c", deadline(EXPIRE, 3 * HOUR))
    start = world.now
    world.tick(2 * HOUR).expire()
    assert (world.state, world.job.open_blocking) == (JobState.PENDING_HITL, 1)
    assert world.guard.not_before == start + 2 * HOUR
    world.tick(HOUR).expire()
    assert (world.state, world.guard.not_before) == (JobState.RUNNING, start + 3 * HOUR)


def test_an_answer_before_the_deadline_depends_on_the_databases_clock() -> None:
    world = waiting(deadline(EXPIRE))
    due = world.prompt().expires_at
    assert world.tick(HOUR - INSTANT).answer().status is AnswerStatus.ACCEPTED
    assert (world.guard.not_after, world.guard.not_before) == (due, None)


def test_an_answer_without_a_deadline_depends_on_no_clock() -> None:
    world = waiting()
    world.answer()
    assert (world.guard.not_after, world.guard.not_before) == (None, None)


@pytest.mark.parametrize("final", FinalAction)
def test_an_answer_at_the_deadline_is_late_and_runs_the_final_action(final: FinalAction) -> None:
    world = waiting(deadline(final))
    reply = world.tick(HOUR).answer()
    assert reply.status is AnswerStatus.CLOSED
    assert world.guard.not_before == world.now
    assert reply.prompt.resolution is not None
    assert reply.prompt.resolution.actor == "system"
    assert world.log[-1].type is EventType.ANSWER_LATE
    assert world.log[-1].actor == "ann"
    assert world.state is (JobState.FAILED if final is FAIL_JOB else JobState.RUNNING)


def test_refused_answers_depend_on_no_deadline() -> None:
    world = waiting(deadline(EXPIRE))
    assert world.answer("x", revision=5).status is AnswerStatus.STALE
    assert world.guard.not_after is None


def test_withdrawing_after_the_deadline_runs_the_final_action_and_is_refused() -> None:
    world = waiting(deadline(EXPIRE)).tick(HOUR)
    with pytest.raises(PromptClosed) as refused:
        world.on_prompt(c.CancelPrompt)
    assert refused.value.metadata["state"] == "EXPIRED"
    assert (world.prompt().state, world.state) == (PromptState.EXPIRED, JobState.RUNNING)
    assert world.guard.not_before == world.now


def test_answering_one_prompt_also_expires_a_due_one() -> None:
    world = waiting(deadline(EXPIRE))
    world.ask("b", deadline(EXPIRE, 2 * HOUR))
    reply = world.tick(HOUR).answer("x", "b")
    assert reply.status is AnswerStatus.ACCEPTED
    assert world.prompt("a").state is PromptState.EXPIRED
    assert (world.guard.not_before, world.guard.not_after) == (world.now, world.now + HOUR)
    assert world.state is JobState.RUNNING


@pytest.mark.parametrize("final", FinalAction)
def test_the_prompt_deadline_ends_a_job_without_a_worker(final: FinalAction) -> None:
    world = JobWorld()
    default = DefaultAnswer(Decision.REJECT) if final is DEFAULT else None
    world.create(replace(deadline(final), default_answer=default))
    world.tick(HOUR).expire()
    assert world.state is (JobState.FAILED if final is FAIL_JOB else JobState.COMPLETED)
    result = world.job.result_json
    if final is FAIL_JOB:
        assert result == ""
    else:
        assert ('"state":"EXPIRED"' in result) == (final is EXPIRE)
        assert ('"source":"TIMEOUT_DEFAULT"' in result) == (final is DEFAULT)


def test_a_claim_does_not_extend_the_deadline() -> None:
    world = waiting(deadline(EXPIRE))
    world.on_prompt(c.ClaimPrompt, duration=2 * HOUR)
    world.tick(HOUR).expire()
    assert (world.prompt().state, world.prompt().claimed_by) == (PromptState.EXPIRED, "")
    assert world.tick(SECOND).answer().status is AnswerStatus.CLOSED


def test_run_due_returns_the_next_due_time() -> None:
    world = waiting(deadline(EXPIRE, 2 * HOUR))
    world.ask("b", deadline(EXPIRE, HOUR))
    world.ask("c", question())
    start = world.now
    assert world.on_job(c.RunDue) == start + HOUR
    assert world.tick(HOUR).on_job(c.RunDue) == start + 2 * HOUR
    assert world.tick(HOUR).on_job(c.RunDue) is None
    world.cancel()
    assert world.on_job(c.EndGrace) == world.now + world.limits.cancel_grace
