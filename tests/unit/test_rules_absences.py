"""Absences: prompts follow them, and what may be set."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain import routing_commands as r
from askback_server.domain import vote_commands as v
from askback_server.domain.absence_rules import (
    MAX_PER_PERSON,
    AbsenceNotFound,
    AbsenceSetting,
    end_absence,
    set_absence,
)
from askback_server.domain.absences import Absence, Absences
from askback_server.domain.approvals import Approval
from askback_server.domain.content import Audience, EscalationStep, Exclusion
from askback_server.domain.delegation_rules import DelegationRefused
from askback_server.domain.delegations import DelegationMode, DelegationPolicy, DelegationScope
from askback_server.domain.errors import InvalidField, PromptNotFound
from askback_server.domain.events import Event, EventType
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerStatus
from tests.support.aggregates import (
    ADMIN,
    ANN,
    BOB,
    CLIENT,
    HOUR,
    START,
    WORKER,
    JobWorld,
    fields_of,
    question,
    running,
    waiting,
)

CID = Principal("cid", frozenset({Role.CONSOLE}))
DAN = Principal("dan", frozenset({Role.CONSOLE}))
FOR_ANN = Audience(frozenset({"ann"}))
STEP = EscalationStep(2 * HOUR, Audience(frozenset({"dan"})))
LIMITS = Limits()


def away(
    subject: str, substitute: str = "", begin: timedelta = -HOUR, end: timedelta = HOUR, id: str = ""
) -> Absence:
    return Absence(id or f"of-{subject}", "default", subject, START + begin, START + end, substitute)


def set_away(world: JobWorld, *absences: Absence) -> None:
    world.absences = Absences.of(absences)
    world.on_job(r.ReviewAbsences)


def stand_ins(world: JobWorld, key: str = "a") -> list[tuple[str, str]]:
    given = world.prompt(key).content.delegations
    return [(each.giver, each.user) for each in given.active] if given is not None else []


def last(world: JobWorld, type: EventType) -> Event:
    return [event for event in world.log if event.type is type][-1]


def test_a_prompt_that_is_asked_meanwhile_goes_to_the_substitute_too() -> None:
    world = running()
    world.absences = Absences.of([away("ann", "bob")])
    world.ask(content=question(audience=FOR_ANN))
    prompt = world.prompt()
    assert (prompt.is_for(ANN), prompt.is_for(BOB), prompt.is_for(CID)) == (True, True, False)
    assert prompt.due_at == START + HOUR
    event = last(world, EventType.PROMPT_DELEGATED)
    assert event.actor == "system"
    assert (event.data or {})["cause"] == "ABSENCE"
    world.answer(principal=BOB)
    assert world.submissions()[-1].answer.on_behalf_of == "ann"


def test_open_prompts_follow_the_beginning_and_the_end() -> None:
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob", HOUR, 3 * HOUR))
    assert stand_ins(world) == []
    world.tick(HOUR)
    set_away(world, away("ann", "bob", HOUR, 3 * HOUR))
    assert stand_ins(world) == [("ann", "bob")]
    world.tick(2 * HOUR).expire()
    assert stand_ins(world) == []
    assert world.guard.not_before == START + 3 * HOUR
    with pytest.raises(PromptNotFound):
        world.answer(principal=BOB)


def test_an_answer_after_the_end_is_refused_though_no_timer_fired() -> None:
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob"))
    world.tick(HOUR)
    with pytest.raises(PromptNotFound):
        world.on_prompt(c.ClaimPrompt, principal=BOB)
    with pytest.raises(PromptNotFound):
        world.answer(principal=BOB)
    assert stand_ins(world) == []


def test_a_substitute_who_has_voted_keeps_the_right_by_which_it_did() -> None:
    world = waiting(question(audience=Audience(frozenset({"ann", "dan"})), approval=Approval(2)))
    set_away(world, away("ann", "bob"))
    world.answer("b", principal=BOB)
    count = len(world.log)
    world.on_job(r.ReviewAbsences)
    assert (stand_ins(world), len(world.log)) == ([("ann", "bob")], count)


def test_a_changed_absence_moves_the_end_and_a_deleted_one_ends_at_once() -> None:
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob"))
    set_away(world, away("ann", "bob", end=5 * HOUR))
    assert world.prompt().due_at == START + 5 * HOUR
    assert (last(world, EventType.PROMPT_DELEGATED).data or {})["number"] == 1
    set_away(world, away("ann", "cid", end=5 * HOUR))
    assert stand_ins(world) == [("ann", "cid")]
    set_away(world)
    assert stand_ins(world) == []
    world.on_job(r.ReviewAbsences)
    assert world.change is None


def test_a_claim_of_the_substitute_outlasts_the_absence() -> None:
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob"))
    world.tick(HOUR - timedelta(minutes=1))
    claim = timedelta(minutes=30)
    world.on_prompt(c.ClaimPrompt, principal=BOB, duration=claim)
    world.tick(timedelta(minutes=1)).expire()
    prompt = world.prompt()
    assert (prompt.is_for(ANN), prompt.is_for(BOB), prompt.claimed_by) == (True, True, "bob")
    assert prompt.due_at == prompt.claimed_until
    world.tick(claim).expire()
    assert stand_ins(world) == []


def test_a_claim_of_a_substitutes_substitute_outlasts_the_absence_too() -> None:
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob"), away("bob", "cid", end=9 * HOUR))
    world.on_prompt(c.ClaimPrompt, principal=CID, duration=5 * HOUR)
    world.tick(HOUR).expire()
    assert stand_ins(world) == [("ann", "bob"), ("bob", "cid")]
    assert (world.prompt().claimed_by, world.prompt().is_for(CID)) == ("cid", True)
    world.tick(4 * HOUR).expire()
    assert stand_ins(world) == []


def test_a_substitute_does_not_keep_its_right_by_extending_the_claim() -> None:
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob"))
    world.on_prompt(c.ClaimPrompt, principal=BOB, duration=HOUR / 2)
    world.tick(HOUR / 4)
    first = world.on_prompt(c.ClaimPrompt, principal=BOB, duration=HOUR).claimed_until
    assert first == world.now + HOUR  # the absence goes on
    world.tick(0.9 * HOUR).expire()
    assert world.on_prompt(c.ClaimPrompt, principal=BOB, duration=20 * HOUR).claimed_until == first
    world.on_prompt(c.ReleasePrompt, principal=BOB)
    assert stand_ins(world) == []


def test_a_right_that_only_a_claim_keeps_is_not_passed_on() -> None:
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob"))
    world.on_prompt(c.ClaimPrompt, principal=BOB, duration=2 * HOUR)
    world.tick(HOUR).expire()
    with pytest.raises(DelegationRefused, match="not away any more"):
        world.on_prompt(r.DelegatePrompt, principal=BOB, user="dan", mode=DelegationMode.TRANSFER)
    assert world.answer(principal=BOB).status is AnswerStatus.ACCEPTED


def test_of_overlapping_absences_every_replica_takes_the_same() -> None:
    both = [away("ann", "bob", id="1"), away("ann", "cid", id="2")]
    found = {Absences.of(order).find("default", "ann", START) for order in (both, both[::-1])}
    assert found == {both[0]}


@pytest.mark.parametrize(("who", "user"), [(BOB, ""), (ANN, "bob"), (ADMIN, "bob")])
def test_a_substitute_is_not_returned_because_it_would_be_one_again_at_once(
    who: Principal, user: str
) -> None:
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob"))
    with pytest.raises(DelegationRefused, match="end the absence") as refused:
        world.on_prompt(r.ReturnPrompt, principal=who, user=user)
    assert refused.value.metadata["because"] == "ABSENT"
    assert stand_ins(world) == [("ann", "bob")]


@pytest.mark.parametrize("target", [{"user": "cid"}, {"group": "ops"}])
def test_a_claim_of_those_whom_the_substitute_asked_ends_with_the_absence(target: dict[str, str]) -> None:
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob"))
    world.on_prompt(r.DelegatePrompt, principal=BOB, mode=DelegationMode.ADD, **target)
    ops = replace(CID, groups=frozenset({"ops"}))
    world.on_prompt(c.ClaimPrompt, principal=ops, duration=20 * HOUR)
    world.tick(HOUR).expire()
    assert world.prompt().claimed_by == ""
    assert world.answer(principal=ANN).status is AnswerStatus.ACCEPTED


def test_with_a_claim_both_may_answer_after_the_end() -> None:
    for who in (ANN, BOB):
        world = waiting(question(audience=FOR_ANN, approval=Approval(1)))
        set_away(world, away("ann", "bob"))
        world.tick(HOUR - timedelta(minutes=1))
        world.on_prompt(c.ClaimPrompt, principal=BOB, duration=HOUR)
        world.tick(timedelta(minutes=2)).expire()
        assert world.answer(principal=who).status is AnswerStatus.ACCEPTED


def test_a_substitute_who_is_away_has_one_too_up_to_three_in_a_row() -> None:
    names = ["ann", "bob", "cid", "dan", "eve"]
    world = waiting(question(audience=FOR_ANN))
    set_away(world, *(away(a, b) for a, b in pairwise(names)))
    assert stand_ins(world) == [("ann", "bob"), ("bob", "cid"), ("cid", "dan")]
    assert (last(world, EventType.SUBSTITUTE_SKIPPED).data or {})["why"] == "CHAIN"
    world.answer(principal=CID)
    assert world.submissions()[-1].answer.on_behalf_of == "ann"


@pytest.mark.parametrize("circle", [False, True])
def test_where_no_one_is_left_the_next_step_is_taken_at_once(circle: bool) -> None:
    world = running()
    world.absences = Absences.of([away("ann", "bob"), away("bob", "ann" if circle else "")])
    world.ask(content=question(audience=FOR_ANN, escalation=(STEP,)))
    prompt = world.prompt()
    assert prompt.content.audience.users == {"ann", "dan"}
    assert prompt.nudges is not None
    assert (prompt.nudges.steps, prompt.nudges.step_at) == (1, None)
    if circle:
        assert (last(world, EventType.SUBSTITUTE_SKIPPED).data or {})["why"] == "CYCLE"


def test_steps_are_taken_until_a_person_is_there() -> None:
    eve, ops = Audience(frozenset({"eve"})), Audience(groups=frozenset({"ops"}))
    steps = STEP, EscalationStep(3 * HOUR, eve), EscalationStep(4 * HOUR, ops)
    world = running()
    world.absences = Absences.of([away("ann"), away("dan")])
    world.ask(content=question(audience=FOR_ANN, escalation=steps))
    assert world.prompt().content.audience.users == {"ann", "dan", "eve"}
    nudges = world.prompt().nudges
    assert nudges is not None
    assert nudges.step_at == START + 4 * HOUR  # as planned
    set_away(world, away("ann"), away("dan"), away("eve"))
    assert world.prompt().content.audience.groups == {"ops"}
    set_away(world, away("ann"), away("dan"))
    assert world.change is None


def test_groups_and_prompts_for_everyone_are_not_affected() -> None:
    world = running()
    world.absences = Absences.of([away("ann")])
    for key, audience in (("a", Audience()), ("b", Audience(frozenset({"ann"}), frozenset({"law"})))):
        world.ask(key, question(audience=audience, escalation=(STEP,)))
        nudges = world.prompt(key).nudges
        assert nudges is not None
        assert nudges.steps == 0


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"exclusion": Exclusion(users=frozenset({"bob"}))}, "EXCLUDED"),
        ({"exclusion": Exclusion(requester=True)}, "SELF_REVIEW"),
        ({"delegation_policy": DelegationPolicy(DelegationScope.NO_ONE)}, "POLICY"),
        ({"delegation_policy": DelegationPolicy(DelegationScope.LISTED, frozenset({"cid"}))}, "POLICY"),
    ],
)
def test_a_substitute_who_may_not_answer_is_skipped_once_and_the_log_says_why(
    fields: dict[str, Any], why: str
) -> None:
    bob = Principal("bob", frozenset({Role.CLIENT}))
    world = waiting(question(audience=Audience(frozenset({"ann", "dan"})), **fields), principal=bob)
    set_away(world, away("ann", "bob"))
    event = last(world, EventType.SUBSTITUTE_SKIPPED)
    assert event.data == {"round": 1, "key": "a", "giver": "ann", "user": "bob", "why": why}
    assert stand_ins(world) == []
    world.on_job(r.ReviewAbsences)
    assert world.change is None


def test_a_substitute_follows_a_delegation_and_is_none_for_who_has_given_its_right() -> None:
    world = waiting(question(audience=FOR_ANN))
    fields = {"principal": ANN, "user": "dan", "mode": DelegationMode.TRANSFER}
    world.on_prompt(r.DelegatePrompt, **fields)
    set_away(world, away("ann", "bob"), away("dan", "cid"))
    assert stand_ins(world) == [("ann", "dan"), ("dan", "cid")]
    world.answer(principal=CID)
    assert world.submissions()[-1].answer.on_behalf_of == "ann"


def test_a_substitute_who_is_asked_anyway_answers_for_itself() -> None:
    world = waiting(question(audience=Audience(frozenset({"ann", "bob"})), approval=Approval(2)))
    set_away(world, away("ann", "bob"))
    assert stand_ins(world) == []
    assert world.answer(principal=BOB).status is AnswerStatus.RECORDED


def test_an_amendment_and_a_step_ask_the_substitutes_of_those_they_name() -> None:
    world = waiting(question(audience=Audience(frozenset({"eve"})), escalation=(STEP,)))
    set_away(world, away("dan", "bob", end=9 * HOUR), away("ann", "cid", end=9 * HOUR))
    assert stand_ins(world) == []
    world.tick(2 * HOUR).expire()
    assert stand_ins(world) == [("dan", "bob")]
    world.ask(content=question("Really?", audience=FOR_ANN))
    assert stand_ins(world) == [("ann", "cid")]
    world.on_prompt(r.ReroutePrompt, principal=CLIENT, audience=Audience(frozenset({"dan"})))
    assert stand_ins(world) == [("dan", "bob")]
    assert world.on_job(c.ReleaseJob, principal=WORKER) is not None


# --- what may be set ---


def put(*known: Absence, **fields: Any) -> Absence:
    fields = {"subject": "ann", "until_at": START + HOUR, **fields}
    setting = AbsenceSetting("default", **fields)
    return set_absence(setting, known, START, LIMITS, "new", "root")


def wrong(*known: Absence, **fields: Any) -> set[str]:
    with pytest.raises(InvalidField) as refused:
        put(*known, **fields)
    return fields_of(refused.value)


def test_an_absence_begins_now_unless_it_says_when() -> None:
    absence = put(substitute="bob", comment="hols")
    assert (absence.from_at, absence.until_at, absence.set_by) == (START, START + HOUR, "root")
    assert put(from_at=START + timedelta(minutes=5)).from_at == START + timedelta(minutes=5)


def test_repeating_a_call_returns_the_absence_that_is_known() -> None:
    known = put(substitute="bob")
    assert put(known, substitute="bob") is known
    assert put(known, substitute="bob", from_at=START) is known
    assert put(known, substitute="bob", absence_id=known.absence_id) is known
    changed = put(known, substitute="cid", absence_id=known.absence_id)
    assert (changed.absence_id, changed.substitute, changed.from_at) == (known.absence_id, "cid", START)


def test_times_must_make_sense() -> None:
    assert wrong(until_at=START - HOUR) == {"until_time"}
    assert wrong(from_at=START - 2 * HOUR, until_at=START) == {"until_time"}
    assert wrong(until_at=START + timedelta(days=400)) == {"until_time"}
    late = START + timedelta(days=800)
    assert wrong(from_at=late, until_at=late + HOUR) == {"from_time"}


def test_absences_of_a_person_do_not_overlap_and_touch_at_most() -> None:
    known = away("ann", begin=HOUR, end=2 * HOUR, id="known")
    assert wrong(known, until_at=START + HOUR + timedelta(seconds=1)) == {"from_time"}
    assert put(known, until_at=START + HOUR).absence_id == "new"
    assert put(away("bob"), until_at=START + HOUR).subject == "ann"


@pytest.mark.parametrize("length", [2, 3])
def test_a_circle_of_substitutes_is_refused_if_they_are_away_at_the_same_time(length: int) -> None:
    names = ["ann", "bob", "cid"][:length]
    others = [away(a, b, -HOUR, 2 * HOUR) for a, b in zip(names[1:], [*names[2:], "ann"], strict=True)]
    assert wrong(*others, substitute="bob") == {"substitute"}
    assert put(*others, substitute="bob", from_at=START + 2 * HOUR, until_at=START + 3 * HOUR)
    assert put(*others, substitute="dan")


def test_a_person_plans_a_limited_number_of_absences() -> None:
    planned = [
        away("ann", begin=i * HOUR, end=(i + 1) * HOUR, id=str(i)) for i in range(1, MAX_PER_PERSON + 1)
    ]
    assert wrong(*planned) == {"from_time"}
    assert put(*planned[1:]).absence_id == "new"


def test_an_unknown_absence_is_not_changed() -> None:
    with pytest.raises(AbsenceNotFound):
        put(away("bob", id="his"), absence_id="his")


def test_a_deleted_absence_ends_now_or_never_begins() -> None:
    assert end_absence(away("ann"), START).until_at == START
    planned = away("ann", begin=HOUR, end=2 * HOUR)
    ended = end_absence(planned, START)
    assert (ended.from_at, ended.until_at) == (START, START)
    over = away("ann", begin=-2 * HOUR, end=-HOUR)
    assert end_absence(over, START) == over


def test_a_substitute_who_has_voted_remains_one() -> None:
    world = waiting(question(audience=Audience(frozenset({"ann", "cid"})), approval=Approval(2)))
    set_away(world, away("ann", "bob"))
    first = world.answer(principal=BOB)
    world.on_job(r.ReviewAbsences)
    assert world.change is None
    assert stand_ins(world) == [("ann", "bob")]
    world.on_prompt(v.WithdrawAnswer, principal=BOB, answer_id=first.answer_id)
    assert world.answer(principal=BOB, answer_id="again").status is AnswerStatus.RECORDED


def test_the_end_of_an_absence_ends_what_follows_from_it_for_substitutes_too() -> None:
    """Bob, who stands in for ann, has added cid, who is away longer than ann."""
    world = waiting(question(audience=FOR_ANN))
    set_away(world, away("ann", "bob"))
    world.on_prompt(r.DelegatePrompt, principal=BOB, user="cid", mode=DelegationMode.ADD)
    set_away(world, away("ann", "bob"), away("cid", "dan", end=5 * HOUR))
    assert stand_ins(world) == [("ann", "bob"), ("bob", "cid"), ("cid", "dan")]
    world.tick(HOUR).expire()
    assert stand_ins(world) == []
    assert not world.prompt().is_for(DAN)


def test_a_substitute_acts_by_the_right_that_the_absent_person_acts_by() -> None:
    """Cid is asked itself, and bob has given it the same right in addition."""
    world = waiting(question(audience=Audience(frozenset({"bob", "cid"}))))
    world.on_prompt(r.DelegatePrompt, principal=BOB, user="cid", mode=DelegationMode.ADD)
    set_away(world, away("cid", "dan"))
    world.answer(principal=DAN)
    assert world.submissions()[-1].answer.on_behalf_of == "cid"
