"""ReroutePrompt: who is asked, how urgently and until when; the question stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain import routing_commands as r
from askback_server.domain.approvals import Approval
from askback_server.domain.content import Audience, EscalationStep, Exclusion, FinalAction, Reminders
from askback_server.domain.delegations import DelegationMode
from askback_server.domain.errors import InvalidField, PromptClosed, PromptNotFound
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerStatus, Prompt, PromptState
from tests.support.aggregates import (
    ANN,
    BOB,
    CLIENT,
    HOUR,
    START,
    STRANGER,
    WORKER,
    JobWorld,
    deadline,
    fields_of,
    question,
    waiting,
)

CID = Principal("cid", frozenset({Role.CONSOLE}))
FOR_ANN, FOR_BOB = Audience(frozenset({"ann"})), Audience(frozenset({"bob"}))
STEP = EscalationStep(2 * HOUR, Audience(frozenset({"cid"})))


def reroute(world: JobWorld, principal: Principal = CLIENT, **fields: Any) -> Prompt:
    return world.on_prompt(r.ReroutePrompt, principal=principal, **fields)


def wrong(world: JobWorld, **fields: Any) -> set[str]:
    with pytest.raises(InvalidField) as refused:
        reroute(world, **fields)
    return fields_of(refused.value)


def test_other_people_are_asked_and_the_answer_to_the_same_question_counts() -> None:
    world = waiting(question(audience=FOR_ANN))
    before = world.prompt()
    world.on_prompt(c.ClaimPrompt, principal=ANN)
    prompt = reroute(world, WORKER, audience=FOR_BOB, priority=7, reason="ann has left")
    assert (prompt.is_for(ANN), prompt.is_for(BOB), prompt.claimed_by) == (False, True, "")
    assert (prompt.digest, prompt.revision, prompt.content.priority) == (before.digest, 1, 7)
    assert prompt.is_turned_away
    data = world.log[-1].data or {}
    assert (data["users"], data["priority"], data["reason"]) == (["bob"], 7, "ann has left")
    assert world.ask(content=question(audience=FOR_ANN)).replayed  # asking again changes nothing
    assert world.answer(principal=BOB).status is AnswerStatus.ACCEPTED


def test_delegations_end_and_so_do_votes_of_those_who_are_asked_no_more() -> None:
    three = Audience(frozenset({"ann", "bob", "cid"}))
    world = waiting(question(audience=three, approval=Approval(2)))
    world.on_prompt(r.DelegatePrompt, principal=ANN, user="dan", mode=DelegationMode.TRANSFER)
    world.answer("b", principal=BOB)
    prompt = reroute(world, audience=Audience(frozenset({"ann", "cid"})))
    assert prompt.votes is not None
    assert (prompt.votes.live, prompt.votes.earlier) == ((), {"bob"})
    assert (prompt.is_for(ANN), prompt.is_for(Principal("dan", frozenset({Role.CONSOLE})))) == (True, False)
    data = world.log[-1].data or {}
    assert (data["votes"], data["delegations"]) == (["b"], [1])


def test_the_deadline_moves_and_its_effect_with_it() -> None:
    world = waiting(deadline(FinalAction.DEFAULT))
    world.tick(HOUR / 2)
    assert reroute(world, timeout=2 * HOUR).expires_at == START + 2.5 * HOUR
    world.tick(HOUR).expire()
    assert world.prompt().is_open
    assert reroute(world, deadline=world.now + HOUR).expires_at == START + 2.5 * HOUR
    world.tick(HOUR).expire()
    assert world.prompt().state is PromptState.ANSWERED


def test_the_escalation_begins_again_and_reminders_go_on() -> None:
    reminders = Reminders(HOUR, HOUR)
    world = waiting(question(audience=FOR_ANN, escalation=(STEP,), reminders=reminders))
    world.tick(2 * HOUR).expire()
    nudges = world.prompt().nudges
    assert nudges is not None
    assert (nudges.steps, nudges.reminded) == (1, 1)
    step = EscalationStep(HOUR / 2, Audience(groups=frozenset({"ops"})), replace=True)
    prompt = reroute(world, escalation=(step,))
    assert prompt.nudges is not None
    assert (prompt.nudges.steps, prompt.nudges.reminded) == (0, 1)
    assert prompt.nudges.step_at == START + 2.5 * HOUR
    world.tick(HOUR / 2).expire()
    assert world.prompt().content.audience.groups == {"ops"}
    assert reroute(world, escalation=()).content.escalation == ()


def test_what_is_not_named_stays_also_its_times() -> None:
    world = waiting(
        deadline(FinalAction.FAIL_JOB, audience=FOR_ANN, escalation=(EscalationStep(HOUR / 2, FOR_BOB),))
    )
    before = world.prompt()
    world.tick(HOUR / 4)
    prompt = reroute(world, priority=5)
    assert (prompt.expires_at, prompt.nudges) == (before.expires_at, before.nudges)
    assert reroute(world, priority=5) == prompt
    assert world.change is None


def test_wrong_requests_name_their_fields() -> None:
    world = waiting(
        deadline(FinalAction.EXPIRE, audience=FOR_ANN, exclusion=Exclusion(users=frozenset({"bob"})))
    )
    assert wrong(world) == {"audience"}
    assert wrong(world, audience=Audience()) == {"audience"}
    assert wrong(world, priority=10_000) == {"priority"}
    assert wrong(world, timeout=timedelta(days=999)) == {"timeout"}
    assert wrong(world, deadline=world.now - HOUR) == {"deadline"}
    assert wrong(world, escalation=(EscalationStep(2 * HOUR, FOR_BOB),)) == {"escalation.steps[0].after"}
    assert wrong(world, audience=FOR_BOB) == {"content.exclude"}
    assert reroute(world, audience=Audience(frozenset({"cid"}))).is_for(CID)


def test_only_the_asking_side_may_and_only_while_it_is_open() -> None:
    world = waiting(question(audience=FOR_ANN))
    with pytest.raises(PromptNotFound):
        reroute(world, STRANGER, priority=1)
    world.answer(principal=ANN)
    with pytest.raises(PromptClosed):
        reroute(world, priority=1)


def test_a_deadline_that_has_passed_wins() -> None:
    world = waiting(deadline(FinalAction.EXPIRE))
    world.tick(HOUR)
    with pytest.raises(PromptClosed):
        reroute(world, timeout=HOUR)
    assert world.prompt().state is PromptState.EXPIRED
