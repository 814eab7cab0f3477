"""Escalation and reminders: each runs once, in order and never early; what they change and what stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.content import (
    Audience,
    DefaultAnswer,
    EscalationStep,
    FinalAction,
    PromptContent,
    Reminders,
)
from askback_server.domain.decisions import Decision
from askback_server.domain.documents import content_to_json
from askback_server.domain.errors import InvalidField, PromptNotFound
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import AnswerStatus, PromptState
from tests.support.aggregates import ANN, BOB, HOUR, SECOND, JobWorld, fields_of, question, running, waiting

INSTANT = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
ESCALATED, REMINDED = EventType.PROMPT_ESCALATED, EventType.PROMPT_REMINDED


def people(*users: str) -> Audience:
    return Audience(users=frozenset(users))


LAW = Audience(groups=frozenset({"law"}))
ADDED = EscalationStep(HOUR, people("bob"))
TURNED = EscalationStep(HOUR, people("bob"), replace=True)


def escalating(*steps: EscalationStep, **fields: Any) -> PromptContent:
    return question(**{"audience": LAW, "escalation": steps, **fields})


def test_a_step_is_taken_once_not_early_and_guarded_by_the_databases_clock() -> None:
    world = waiting(escalating(ADDED))
    due = world.now + HOUR
    assert world.on_job(c.RunDue) == due
    world.tick(HOUR - INSTANT).expire()
    assert world.change is None
    assert not world.prompt().is_for(BOB)
    world.tick(INSTANT).expire()
    assert world.events() == [ESCALATED]
    assert (world.guard.not_before, world.guard.not_after) == (due, None)
    assert (world.log[-1].actor, world.log[-1].data) == (
        "system",
        {
            "round": 1,
            "key": "a",
            "step": 1,
            "users": ["bob"],
            "groups": [],
            "replace": False,
            "priority": 0,
        },
    )
    assert world.prompt().is_for(BOB)
    assert world.prompt().is_for(ANN), "others come in addition"
    world.expire()
    assert world.change is None, "a step is taken once"
    assert world.on_job(c.RunDue) is None
    assert world.state is JobState.PENDING_HITL


def test_a_step_raises_the_version_and_not_the_revision() -> None:
    world = waiting(escalating(EscalationStep(HOUR, people("bob"), raise_priority=7)))
    shown = world.prompt()
    world.tick(HOUR).expire()
    now = world.prompt()
    assert (now.revision, now.digest) == (shown.revision, shown.digest)
    assert now.version == shown.version + 1
    assert (now.content.priority, now.content.digest) == (7, shown.digest)
    assert '"priority":7' in content_to_json(now.content), "what was derived of the old content is not kept"
    assert world.answer(revision=shown.revision).status is AnswerStatus.ACCEPTED


def test_asking_again_after_a_step_gives_the_same_prompt() -> None:
    world = waiting(escalating(TURNED))
    world.tick(HOUR).expire()
    reply = world.ask("a", escalating(TURNED))
    assert (reply.replayed, reply.prompt) == (True, world.prompt())
    assert reply.prompt.content.audience == people("bob")


def test_a_replacing_step_hides_the_prompt_from_the_former_audience() -> None:
    world = waiting(escalating(TURNED))
    world.on_prompt(c.ClaimPrompt, duration=2 * HOUR)
    world.tick(HOUR).expire()
    assert not world.prompt().is_for(ANN)
    assert world.prompt().is_turned_away
    with pytest.raises(PromptNotFound):
        world.answer()
    assert world.answer(principal=BOB).status is AnswerStatus.ACCEPTED, "no claim of a person who is gone"


def test_a_step_ends_a_claim_and_its_holder_may_still_answer() -> None:
    world = waiting(escalating(ADDED))
    world.on_prompt(c.ClaimPrompt, duration=2 * HOUR)
    world.tick(HOUR).expire()
    assert (world.prompt().claimed_by, world.prompt().claimed_until) == ("", None)
    assert not world.prompt().is_turned_away
    assert world.answer().status is AnswerStatus.ACCEPTED


def test_an_answer_after_a_step_is_due_also_runs_the_step() -> None:
    world = waiting(escalating(ADDED, timeout=2 * HOUR)).tick(HOUR)
    assert world.answer().status is AnswerStatus.ACCEPTED
    assert world.events() == [ESCALATED, EventType.PROMPT_ANSWERED]
    assert (world.guard.not_before, world.guard.not_after) == (world.now, world.now + HOUR)
    assert world.prompt().nudges is not None
    assert world.prompt().due_at == world.now + HOUR
    assert world.prompt().nudges.next_at is None


def test_an_answer_from_an_audience_that_a_due_step_replaces_is_late() -> None:
    world = waiting(escalating(TURNED)).tick(HOUR)
    with pytest.raises(PromptNotFound):
        world.answer()
    assert world.events() == [ESCALATED]
    assert world.prompt().is_open


def test_an_open_audience_stays_open_unless_a_step_replaces_it() -> None:
    world = waiting(
        escalating(ADDED, EscalationStep(2 * HOUR, people("bob"), replace=True), audience=Audience())
    )
    world.tick(HOUR).expire()
    assert world.prompt().content.audience == Audience()
    world.tick(HOUR).expire()
    assert world.prompt().content.audience == people("bob")


def test_a_replacing_step_without_names_opens_the_prompt_to_all() -> None:
    world = waiting(escalating(EscalationStep(HOUR, replace=True)))
    assert not world.prompt().is_for(BOB)
    world.tick(HOUR).expire()
    assert world.prompt().is_for(BOB)


def test_the_priority_is_raised_up_to_the_highest() -> None:
    limits = Limits()
    world = waiting(
        escalating(EscalationStep(HOUR, raise_priority=2 * limits.priority), priority=-limits.priority)
    )
    world.tick(HOUR).expire()
    assert world.prompt().content.priority == limits.priority
    world = waiting(escalating(EscalationStep(HOUR, raise_priority=9), priority=limits.priority))
    world.tick(HOUR).expire()
    assert world.prompt().content.priority == limits.priority


FINAL = {
    FinalAction.EXPIRE: (EventType.PROMPT_EXPIRED, PromptState.EXPIRED),
    FinalAction.DEFAULT: (EventType.PROMPT_ANSWERED, PromptState.ANSWERED),
    FinalAction.FAIL_JOB: (EventType.PROMPT_EXPIRED, PromptState.EXPIRED),
}


@pytest.mark.parametrize("final", FINAL)
def test_steps_due_during_an_outage_are_taken_in_their_order(final: FinalAction) -> None:
    steps = (ADDED, EscalationStep(2 * HOUR, people("cid")), EscalationStep(3 * HOUR, people("dan")))
    default = DefaultAnswer(Decision.REJECT) if final is FinalAction.DEFAULT else None
    world = waiting(escalating(*steps, timeout=4 * HOUR, final_action=final, default_answer=default))
    start = world.now
    world.tick(2 * HOUR + MINUTE).expire()
    assert world.events() == [ESCALATED, ESCALATED]
    assert [e.data["step"] for e in world.log[-2:] if e.data] == [1, 2]
    assert world.guard.not_before == start + 2 * HOUR
    assert world.on_job(c.RunDue) == start + 3 * HOUR
    world.tick(24 * HOUR).expire()
    closing, state = FINAL[final]
    assert world.events()[:2] == [ESCALATED, closing]
    assert world.prompt().state is state
    assert world.guard.not_before == start + 4 * HOUR
    world.tick(24 * HOUR).expire()
    assert world.change is None


def test_steps_of_several_prompts_are_taken_in_the_order_of_their_times() -> None:
    world = waiting(escalating(EscalationStep(3 * HOUR, people("x")), timeout=5 * HOUR))
    world.ask("b", escalating(EscalationStep(2 * HOUR, people("y")), EscalationStep(4 * HOUR, people("z"))))
    world.tick(6 * HOUR).expire()
    told = [(e.type, (e.data or {})["key"]) for e in world.log[-4:]]
    assert told == [(ESCALATED, "b"), (ESCALATED, "a"), (ESCALATED, "b"), (EventType.PROMPT_EXPIRED, "a")]


def test_a_failed_job_takes_no_further_step() -> None:
    world = waiting(escalating(EscalationStep(2 * HOUR, people("x"))))
    world.ask("b", question(timeout=HOUR, final_action=FinalAction.FAIL_JOB))
    world.tick(3 * HOUR).expire()
    assert ESCALATED not in world.events()
    assert world.state is JobState.FAILED


def test_a_closed_prompt_has_no_due_step() -> None:
    world = waiting(escalating(ADDED, reminders=Reminders(HOUR, HOUR)))
    world.answer()
    assert world.prompt().due_at is None
    world.tick(24 * HOUR).expire()
    assert world.change is None


def test_an_amendment_restarts_the_escalation() -> None:
    world = waiting(escalating(TURNED, reminders=Reminders(HOUR, HOUR)))
    world.tick(HOUR).expire()
    world.ask("a", escalating(ADDED, title="And now?"))
    now = world.prompt()
    assert (now.revision, now.content.audience) == (2, LAW)
    assert now.nudges is not None
    assert (now.nudges.steps, now.nudges.reminded, now.due_at) == (0, 0, world.now + HOUR)
    world.ask("a", question("No more?"))
    assert world.prompt().nudges is None


def test_reminders_recur_and_change_nothing_else() -> None:
    world = waiting(escalating(reminders=Reminders(every=HOUR, after=10 * MINUTE, maximum=3)))
    start, shown = world.now, world.prompt()
    world.on_prompt(c.ClaimPrompt, duration=12 * HOUR)
    for count in (1, 2, 3):
        due = start + 10 * MINUTE + (count - 1) * HOUR
        assert world.on_job(c.RunDue) == due
        world.now = due
        world.expire()
        assert world.events() == [REMINDED]
        assert world.log[-1].data == {"round": 1, "key": "a", "count": count}
        assert world.guard.not_before == due
    now = world.prompt()
    assert now.nudges is not None
    assert (now.nudges.reminded, now.nudges.reminded_at, now.due_at) == (3, world.now, None)
    assert (now.content, now.revision, now.claimed_by) == (shown.content, 1, "ann")
    assert now.version > shown.version, "consoles are told again"


def test_missed_reminders_are_merged_into_one() -> None:
    world = waiting(escalating(reminders=Reminders(every=HOUR, after=HOUR)))
    start = world.now
    world.tick(70 * HOUR + MINUTE).expire()
    assert world.events() == [REMINDED]
    assert world.on_job(c.RunDue) == start + 71 * HOUR, "in the rhythm of before"


def test_reminders_stop_after_their_maximum() -> None:
    world = JobWorld(limits=Limits(reminders=2))
    world.create(escalating(reminders=Reminders(every=HOUR, after=HOUR)))
    for _ in range(2):
        world.tick(HOUR).expire()
        assert world.events() == [REMINDED]
    assert world.on_job(c.RunDue) is None


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (escalating(*[EscalationStep(n * HOUR, people("x")) for n in range(1, 12)]), {"escalation"}),
        (escalating(ADDED, ADDED), {"escalation[1].after"}),
        (
            escalating(EscalationStep(HOUR, people("x")), EscalationStep(MINUTE, people("y"))),
            {"escalation[1].after"},
        ),
        (escalating(ADDED, timeout=HOUR), {"escalation[0].after"}),
        (escalating(EscalationStep(timedelta(0), people("x"))), {"escalation[0].after"}),
        (escalating(EscalationStep(timedelta(days=999), people("x"))), {"escalation[0].after"}),
        (escalating(EscalationStep(HOUR)), {"escalation[0].to"}),
        (escalating(EscalationStep(HOUR, people(""))), {"escalation[0].to"}),
        (escalating(EscalationStep(HOUR, people("a\0b"))), {"escalation[0].to"}),
        (escalating(EscalationStep(HOUR, people(*map(str, range(100))))), {"escalation[0].to"}),
        (escalating(EscalationStep(HOUR, people("x"), raise_priority=-1)), {"escalation[0].raise_priority"}),
        (
            escalating(EscalationStep(HOUR, people("x"), raise_priority=2001)),
            {"escalation[0].raise_priority"},
        ),
        (escalating(reminders=Reminders(SECOND / 2, HOUR)), {"reminders.every"}),
        (escalating(reminders=Reminders(HOUR, timedelta(0))), {"reminders.after"}),
        (escalating(reminders=Reminders(HOUR, HOUR, -1)), {"reminders.max_count"}),
        (escalating(reminders=Reminders(HOUR, HOUR, 1001)), {"reminders.max_count"}),
        (escalating(reminders=Reminders(HOUR, HOUR), timeout=HOUR), {"reminders.after"}),
    ],
)
def test_impossible_steps_and_reminders_are_refused(content: PromptContent, fields: set[str]) -> None:
    world = running()
    with pytest.raises(InvalidField) as refused:
        world.ask("a", content)
    assert fields_of(refused.value) == {f"content.{field}" for field in fields}
    with pytest.raises(InvalidField) as refused:
        JobWorld().create(content)
    assert fields_of(refused.value) == {f"prompt.{field}" for field in fields}


def test_a_step_may_name_the_maximum_of_people() -> None:
    many = people(*map(str, range(100)))
    running().ask("a", escalating(EscalationStep(HOUR, many, replace=True), audience=many))
    running().ask("a", escalating(EscalationStep(HOUR, many), audience=many))
    running().ask("a", escalating(EscalationStep(HOUR, many), audience=Audience()))
