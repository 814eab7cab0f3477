"""Asking: keys, amendments, superseding prompts, and when a job waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.content import Audience, FinalAction, Part
from askback_server.domain.decisions import Decision, DecisionOption
from askback_server.domain.errors import IdReused, IllegalState, LeaseLost, PromptNotFound
from askback_server.domain.events import EventType
from askback_server.domain.forms import BooleanInput, Question, Questions
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerStatus, PromptState
from askback_server.domain.replies import JobVersion
from tests.support.aggregates import HOUR, S1, S2, JobWorld, deadline, question, running, waiting


def test_a_blocking_prompt_makes_the_job_wait_and_keeps_its_holder() -> None:
    world = waiting()
    job = world.job
    assert (job.state, job.session_id, job.rounds) == (JobState.PENDING_HITL, S1.session_id, 1)
    assert (job.open_prompts, job.open_blocking) == (1, 1)
    prompt = world.prompt()
    assert (prompt.round, prompt.revision, prompt.state) == (1, 1, PromptState.PENDING)
    assert (prompt.namespace, prompt.job_type, prompt.expires_at) == ("default", "refund", None)


def test_a_prompt_that_does_not_block_leaves_the_job_alone() -> None:
    world = running()
    world.ask("a", question(blocking=False))
    assert (world.state, world.job.open_prompts, world.job.open_blocking) == (JobState.RUNNING, 1, 0)
    world.answer()
    assert (world.state, world.job.open_prompts) == (JobState.RUNNING, 0)
    assert world.guard.session is None, "the job does not move, so nothing depends on its holder"


def test_rounds_count_all_prompts_of_the_job() -> None:
    world = waiting()
    world.answer()
    assert world.ask("b").prompt.round == 2
    world.release()
    world.answer("2", "b")
    assert world.lease(S2).ask("c").prompt.round == 3


def test_the_same_question_again_is_the_same_prompt_with_its_answer() -> None:
    world = waiting()
    asked = world.ask("a")
    assert (asked.replayed, asked.prompt, world.change) == (True, world.prompt(), None)
    world.answer(comment="yes")
    world.release().lease(S2)
    asked = world.ask("a")
    assert asked.replayed
    assert asked.prompt.resolution is not None
    assert asked.prompt.resolution.answer is not None
    assert asked.prompt.resolution.answer.comment == "yes"
    assert (world.state, world.change) == (JobState.RUNNING, None)


@pytest.mark.parametrize(
    "seen",
    [
        {"title": "Really?"},
        {"body": "Look:"},
        {"kind": "validate"},
        {"parts": (Part("x", text="1"),)},
        {"form": Questions((Question(question_id="n", title="?", input=BooleanInput()),))},
        {"decisions": (DecisionOption(Decision.ACCEPT, "Yes"),)},
    ],
)
def test_changing_visible_content_amends_the_question(seen: dict[str, Any]) -> None:
    world = waiting()
    first = world.prompt()
    asked = world.ask("a", replace(question(), **seen))
    assert (asked.replayed, asked.prompt.prompt_id) == (False, first.prompt_id)
    assert (asked.prompt.revision, asked.prompt.round) == (2, 1)
    assert world.events() == [EventType.PROMPT_AMENDED]
    assert world.state is JobState.PENDING_HITL
    assert world.answer(revision=1).status is AnswerStatus.STALE
    assert world.answer("a2", revision=2).status is not AnswerStatus.STALE


@pytest.mark.parametrize(
    "unseen",
    [
        {"audience": Audience(frozenset({"ann"}))},
        {"labels": {"x": "y"}},
        {"priority": 9},
        {"metadata_json": "{}"},
        {"timeout": HOUR},
    ],
)
def test_changing_routing_or_times_keeps_the_question(unseen: dict[str, Any]) -> None:
    world = waiting()
    asked = world.ask("a", replace(question(), **unseen))
    assert (asked.replayed, asked.prompt.revision, world.change) == (True, 1, None)


def test_defaults_are_filled_in_before_the_question_is_compared() -> None:
    world = waiting(question(kind="approval"))
    spelt = question(kind="approval", decisions=world.prompt().content.decisions)
    assert [o.decision for o in spelt.decisions] == [Decision.ACCEPT, Decision.REJECT]
    assert world.ask("a", spelt).replayed
    unlabelled = tuple(replace(o, label="") for o in spelt.decisions)
    assert world.ask("a", question(kind="approval", decisions=unlabelled)).replayed


def test_a_digest_is_computed_from_the_stored_content() -> None:
    given = question(kind="approval")
    assert given.digest, "asked for before the decisions are filled in"
    world = waiting(given)
    assert world.prompt().digest == world.prompt().content.digest
    assert world.ask("a", question(kind="approval")).replayed


@pytest.mark.parametrize("how", ["answer", "withdraw", "expire"])
def test_another_question_under_a_closed_key_is_refused(how: str) -> None:
    world = waiting(deadline(FinalAction.EXPIRE))
    if how == "answer":
        world.answer()
    elif how == "withdraw":
        world.on_prompt(c.CancelPrompt)
    else:
        world.tick(HOUR).expire()
    with pytest.raises(IdReused) as refused:
        world.ask("a", question("Another?"))
    prompt = world.prompt()
    assert refused.value.metadata == {
        "field": "key",
        "value": "a",
        "prompt_id": prompt.prompt_id,
        "state": prompt.state.value,
    }


def test_an_amendment_restarts_the_deadline_and_keeps_the_claim() -> None:
    world = waiting(deadline(FinalAction.EXPIRE))
    world.on_prompt(c.ClaimPrompt)
    world.tick(timedelta(minutes=30))
    prompt = world.ask("a", deadline(FinalAction.EXPIRE, title="Really?")).prompt
    assert (prompt.expires_at, prompt.claimed_by) == (world.now + HOUR, "ann")
    assert world.ask("a", question("Without haste?")).prompt.expires_at is None


def test_an_amendment_may_stop_blocking_or_start_to() -> None:
    world = waiting()
    world.ask("a", question("By the way?", blocking=False))
    assert (world.state, world.job.open_blocking) == (JobState.RUNNING, 0)
    world.ask("a", question("Now really?"))
    assert (world.state, world.job.open_blocking) == (JobState.PENDING_HITL, 1)
    world.ask("b", question("And this?"))
    world.ask("a", question("By the way again?", blocking=False))
    assert (world.state, world.job.open_blocking) == (JobState.PENDING_HITL, 1)


def test_a_prompt_supersedes_others_in_one_change() -> None:
    world = waiting()
    world.ask("b", question("Aside?", blocking=False))
    asked = world.ask("c", question("Both?"), supersedes=("a", "b"))
    assert world.events() == [
        EventType.PROMPT_SUPERSEDED,
        EventType.PROMPT_SUPERSEDED,
        EventType.PROMPT_ASKED,
    ]
    assert {world.prompt(k).state for k in "ab"} == {PromptState.SUPERSEDED}
    assert {e.state for e in world.log[-3:]} == {JobState.PENDING_HITL}, "the job never seems to go on"
    resolution = world.prompt("a").resolution
    assert resolution is not None
    assert resolution.reason == "another prompt of the job took its place"
    assert (asked.prompt.round, world.job.open_prompts, world.state) == (3, 1, JobState.PENDING_HITL)


def test_a_superseding_prompt_that_does_not_block_lets_the_job_continue() -> None:
    world = waiting()
    world.ask("b", question("By the way?", blocking=False), supersedes=("a",))
    assert (world.state, world.job.open_prompts, world.job.open_blocking) == (JobState.RUNNING, 1, 0)


def test_superseding_a_closed_prompt_changes_nothing_and_an_unknown_one_is_refused() -> None:
    world = waiting()
    world.answer()
    world.ask("b", supersedes=("a",))
    assert world.prompt("a").state is PromptState.ANSWERED
    with pytest.raises(PromptNotFound) as missing:
        world.ask("c", supersedes=("b", "zz"))
    assert missing.value.metadata == {"job_id": world.job.job_id, "key": "zz"}
    assert world.prompt("b").is_open


def test_a_receipt_is_recorded_once() -> None:
    world = waiting()
    world.answer()
    prompt_id = world.prompt().prompt_id
    reply = world.on_job(c.AcknowledgePrompts, prompt_ids=(prompt_id, prompt_id))
    assert (world.prompt().consumed_at, JobVersion(world.job.version)) == (world.now, reply)
    assert world.events() == [EventType.PROMPT_CONSUMED]
    before = world.prompt()
    assert world.tick(HOUR).on_job(c.AcknowledgePrompts, prompt_ids=(prompt_id,)) == reply
    assert (world.change, world.prompt()) == (None, before)


def test_a_receipt_for_an_open_or_unknown_prompt_is_refused() -> None:
    world = waiting()
    with pytest.raises(IllegalState):
        world.on_job(c.AcknowledgePrompts, prompt_ids=(world.prompt().prompt_id,))
    with pytest.raises(PromptNotFound):
        world.on_job(c.AcknowledgePrompts, prompt_ids=("another",))


def test_asking_after_a_due_prompt_ended_the_job_reports_a_lost_lease() -> None:
    world = waiting(deadline(FinalAction.FAIL_JOB))
    world.tick(HOUR)
    with pytest.raises(LeaseLost):
        world.ask("b")
    assert world.state is JobState.FAILED


def test_asking_again_after_the_deadline_returns_the_expired_prompt() -> None:
    world: JobWorld = waiting(deadline(FinalAction.EXPIRE))
    asked = world.tick(HOUR).ask("a", deadline(FinalAction.EXPIRE))
    assert asked.replayed
    assert (asked.prompt.state, world.state) == (PromptState.EXPIRED, JobState.RUNNING)
    assert world.guard.not_before == asked.prompt.expires_at
