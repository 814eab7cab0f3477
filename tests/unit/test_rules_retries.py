"""What a retry carries over, and how the new job uses it when it asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.answers import AnswerSource
from askback_server.domain.content import Audience, DefaultAnswer, EscalationStep, FinalAction, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import IdReused, IllegalState, InvalidField, JobNotFound
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import PromptState
from askback_server.domain.retries import (
    PAGE_SIZE,
    CarriedAnswer,
    Keep,
    KeptAnswer,
    KeptCheckpoint,
    Retry,
    answer_to_keep,
    carry_over_pages,
)
from askback_server.domain.retry_rules import plan_retry, repeat_job
from tests.support.aggregates import ADMIN, ANN, CLIENT, HOUR, START, JobWorld, question, running, waiting

FORMER = START - timedelta(days=3)


def world_of_retry(*answers: CarriedAnswer, **fields: Any) -> JobWorld:
    """A job held by WORKER and created with these answers of an earlier job."""
    kept = tuple(
        KeptAnswer(a.key, f"prompt of {a.key}", a.job_id, a.answer.decision, a.answer.user_id, FORMER)
        for a in answers
    )
    world = JobWorld()
    world.create(retry=Retry("old", Keep.ALL, "first", kept, (KeptCheckpoint("charge", FORMER),)), **fields)
    world.aggregate = replace(world.aggregate, carried={a.key: a for a in answers})
    return world.lease()


def answer_to_carry(key: str = "a", content: PromptContent | None = None, **fields: Any) -> CarriedAnswer:
    """An ACCEPT by ANN, as an earlier job stored it."""
    world = waiting(content)
    world.answer(**fields)
    prompt = world.prompt()
    assert prompt.resolution is not None
    assert prompt.resolution.answer is not None
    return CarriedAnswer(key, prompt.digest, "old", replace(prompt.resolution.answer, created_at=FORMER))


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
@pytest.mark.parametrize("asked", [None, Keep.ALL, Keep.NOTHING])
def test_a_retry_keeps_answers_and_joins_its_chain(state: JobState, asked: Keep | None) -> None:
    job = replace(running().job, state=state, root="first")
    retry = plan_retry(job, asked)
    assert retry.keep is (asked or (Keep.ALL if state is JobState.FAILED else Keep.NOTHING))
    starts_chain = retry.keep is Keep.NOTHING and state is JobState.COMPLETED
    assert retry.root_job_id == ("" if starts_chain else "first")
    first = plan_retry(replace(job, root=""), asked)
    assert first.root_job_id == ("" if starts_chain else job.job_id)


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RUNNING, JobState.PENDING_HITL])
def test_jobs_that_have_not_ended_cannot_be_retried(state: JobState) -> None:
    with pytest.raises(IllegalState, match="only an ended job that had a worker can be retried"):
        plan_retry(replace(running().job, state=state), Keep.ALL)


def test_jobs_without_a_worker_cannot_be_retried() -> None:
    job = replace(running().job, state=JobState.COMPLETED, workerless=True)
    with pytest.raises(IllegalState, match="only an ended job that had a worker can be retried"):
        plan_retry(job, None)


@pytest.mark.parametrize("keep", Keep)
def test_nothing_is_copied_from_a_job_whose_retention_is_over(keep: Keep) -> None:
    """Parts of it may be deleted already. A repeated request still gets the job that it created."""
    old = running(retention=HOUR).fail(retryable=False)
    command = repeat_job(old, plan_retry(old, keep), CLIENT, "r-1")
    world = JobWorld()
    assert world.do(command).job.retried_from == old.job_id
    world.tick(HOUR)
    assert world.do(command).replayed
    late = JobWorld(now=world.now)
    if keep is Keep.ALL:
        with pytest.raises(JobNotFound):
            late.do(command)
    else:
        assert late.do(command).job.retried_from == old.job_id


def test_retry_repeats_the_fields_of_the_job_for_the_caller() -> None:
    old = replace(
        running().job,
        state=JobState.FAILED,
        input_json='{"order": 1}',
        priority=3,
        labels={"team": "a"},
        max_attempts=7,
        retention=HOUR,
        timeout=2 * HOUR,
        run_timeout=HOUR / 2,
    )
    retry = plan_retry(old, None)
    command = repeat_job(old, retry, ADMIN, "r-1")
    assert (command.principal, command.request_id, command.retry) == (ADMIN, "r-1", retry)
    same = [
        "namespace",
        "job_type",
        "input_json",
        "priority",
        "labels",
        "max_attempts",
        "retention",
        "timeout",
        "run_timeout",
    ]
    assert [getattr(command, name) for name in same] == [getattr(old, name) for name in same]
    assert (command.user_id, command.start_at, command.start_delay) == ("", None, None)


@pytest.mark.parametrize("decision", Decision)
@pytest.mark.parametrize("source", AnswerSource)
def test_only_peoples_answers_that_were_no_refusal_are_kept(decision: Decision, source: AnswerSource) -> None:
    world = waiting()
    world.answer()
    resolution = world.prompt().resolution
    assert resolution is not None
    assert resolution.answer is not None
    changed = replace(resolution, answer=replace(resolution.answer, decision=decision, source=source))
    kept = answer_to_keep("a", "p", "old", changed)
    wanted = source is AnswerSource.HUMAN and decision in (Decision.ACCEPT, Decision.EDIT, Decision.RESPOND)
    assert (kept is not None) is wanted
    if kept is not None:
        assert (kept.user_id, kept.at, kept.decision) == (ANN.subject, START, decision)
    assert answer_to_keep("a", "p", "old", replace(resolution, answer=None)) is None


def test_the_same_question_is_answered_at_once() -> None:
    carried = answer_to_carry(comment="as agreed", answer_id="x")
    world = world_of_retry(carried)
    asked = world.ask()
    prompt = asked.prompt
    assert (prompt.state, world.state, world.job.open_prompts) == (PromptState.ANSWERED, JobState.RUNNING, 0)
    assert prompt.resolution is not None
    assert prompt.resolution.answer == carried.answer
    assert (prompt.resolution.actor, prompt.resolution.at) == (ANN.subject, world.now)
    assert prompt.resolution.answer.created_at == FORMER
    assert world.events() == [EventType.PROMPT_ASKED, EventType.PROMPT_ANSWERED]
    assert world.log[-1].data == {
        "round": 1,
        "key": "a",
        "answer_id": "x",
        "decision": "ACCEPT",
        "source": "HUMAN",
        "carried_from": "old",
        "by": "ann",
    }
    assert world.log[-1].actor == "worker of wanda"
    again = world.ask()
    assert (again.replayed, again.prompt) == (True, prompt)
    world.complete()


def test_an_answer_kept_for_other_words_has_the_version_of_its_last_event() -> None:
    world = world_of_retry(answer_to_carry())
    prompt = world.ask(content=question("Go on, please?"), same=True).prompt
    assert world.events() == [EventType.PROMPT_ASKED, EventType.PROMPT_ANSWERED, EventType.PROMPT_REWORDED]
    assert (prompt.state, prompt.version) == (PromptState.ANSWERED, world.log[-1].seq)
    [submission] = world.aggregate.submissions.values()
    assert submission.seq == world.log[-2].seq


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"title": "Go on now?"}, False),
        ({"body": "More."}, False),
        ({"kind": "validate"}, False),
        ({"priority": 7}, True),
        ({"labels": {"a": "b"}}, True),
        ({"audience": Audience(users=frozenset({"bob"}))}, True),
        ({"blocking": False}, True),
        ({"timeout": HOUR}, True),
    ],
)
def test_another_question_under_the_key_is_asked(change: dict[str, Any], same: bool) -> None:
    world = world_of_retry(answer_to_carry())
    asked = world.ask(content=question(**change))
    assert asked.prompt.is_open is not same
    if not same:
        world.answer(decision=Decision.REJECT)
        with pytest.raises(IdReused):
            world.ask()  # the key belongs to the new question now


def test_the_same_question_under_another_key_is_asked() -> None:
    assert world_of_retry(answer_to_carry()).ask("b").prompt.is_open


@pytest.mark.parametrize(
    "times",
    [
        {"timeout": -HOUR},
        {"timeout": timedelta.max},
        {"deadline": START - HOUR},
        {"reminders": None, "escalation": (EscalationStep(timedelta.max, raise_priority=1),)},
        {
            "timeout": timedelta(0),
            "final_action": FinalAction.DEFAULT,
            "default_answer": DefaultAnswer(Decision.ACCEPT),
        },
    ],
)
def test_a_carried_answer_is_given_at_any_time(times: dict[str, Any]) -> None:
    world = world_of_retry(answer_to_carry())
    prompt = world.ask(content=question(**times)).prompt
    assert (prompt.state, prompt.expires_at, prompt.due_at) == (PromptState.ANSWERED, None, None)
    with pytest.raises(InvalidField):
        world_of_retry(answer_to_carry()).ask(content=question("Other?", **times))


def test_a_carried_answer_marks_no_prompt_as_unattended() -> None:
    world = world_of_retry(answer_to_carry())
    world.present = ()
    world.ask()
    assert EventType.PROMPT_UNATTENDED not in world.events()


def test_a_carried_answer_needs_no_room_among_the_open_prompts() -> None:
    world = world_of_retry(answer_to_carry())
    world.limits = Limits(open_prompts_per_job=1)
    world.ask("b")
    assert world.ask("a").prompt.state is PromptState.ANSWERED
    assert world.state is JobState.PENDING_HITL, "b is open still"


def test_the_log_lists_what_was_carried_over() -> None:
    world = world_of_retry(answer_to_carry("a"), answer_to_carry("b"))
    created, listed = world.log[:2]
    assert created.data is not None
    assert (created.data["retried_from"], created.data["keep"]) == ("old", "ALL")
    assert listed.type is EventType.JOB_CARRIED_OVER
    assert listed.data is not None
    at = FORMER.isoformat().replace("+00:00", "Z")
    assert listed.data["answers"] == [
        {"key": key, "decision": "ACCEPT", "by": "ann", "at": at, "from": "old"} for key in "ab"
    ]
    assert listed.data["checkpoints"] == [{"key": "charge", "at": at}]
    assert (world.job.carried_answers, world.job.checkpoints, world.job.root_job_id) == (2, 1, "first")


def test_a_long_list_of_carried_entries_is_split_into_events() -> None:
    points = tuple(KeptCheckpoint(f"{n:05}", FORMER) for n in range(2 * PAGE_SIZE + 1))
    pages = list(carry_over_pages(Retry("old", Keep.ALL, checkpoints=points)))
    assert [(p["page"], p["pages"], len(p["checkpoints"])) for p in pages] == [
        (1, 3, PAGE_SIZE),
        (2, 3, PAGE_SIZE),
        (3, 3, 1),
    ]
    assert [c["key"] for p in pages for c in p["checkpoints"]] == [p.key for p in points]
    [empty] = carry_over_pages(Retry("old", Keep.ALL))
    assert (empty["page"], empty["pages"], empty["answers"], empty["checkpoints"]) == (1, 1, [], [])


def test_a_retry_that_keeps_nothing_logs_no_list() -> None:
    world = JobWorld()
    world.create(retry=Retry("old", Keep.NOTHING))
    assert world.events() == [EventType.JOB_CREATED]
    assert world.job.root_job_id == world.job.job_id


def test_a_repeated_retry_request_must_keep_the_same() -> None:
    world = JobWorld()
    made = world.create(request_id="r", retry=Retry("old", Keep.ALL), labels={"a": "b"})
    again = world.create(request_id="r", retry=Retry("old", Keep.ALL), labels={"changed": "since"})
    assert (again.replayed, again.job) == (True, made.job)
    for other in (Retry("old", Keep.NOTHING), Retry("other", Keep.ALL), None):
        with pytest.raises(IdReused):
            world.create(request_id="r", retry=other)


def test_carried_answers_survive_a_lost_lease() -> None:
    world = world_of_retry(answer_to_carry())
    world.lose().tick(HOUR).lease()
    assert world.aggregate.carried
    assert isinstance(world.aggregate, Aggregate)
    assert world.ask().prompt.state is PromptState.ANSWERED


def test_a_carried_answer_has_the_digest_of_what_people_answered() -> None:
    prompt = world_of_retry(answer_to_carry()).ask(content=question(timeout=HOUR)).prompt
    assert prompt.state is PromptState.ANSWERED
    assert prompt.shown_digest == waiting().prompt().shown_digest
