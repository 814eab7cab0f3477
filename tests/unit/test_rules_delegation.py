"""Delegations that people make: who may act afterwards, in whose place, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain import routing_commands as r
from askback_server.domain import vote_commands as v
from askback_server.domain.absences import Absence, Absences
from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.content import Audience, EscalationStep, Exclusion, PromptContent
from askback_server.domain.delegation_rules import DelegationRefused
from askback_server.domain.delegations import (
    MAX_DELEGATIONS,
    DelegationMode,
    DelegationPolicy,
    DelegationScope,
)
from askback_server.domain.electorate import Departures, Electorate, GroupMembers
from askback_server.domain.errors import InvalidField, PermissionDenied, PromptClosed, PromptNotFound
from askback_server.domain.events import EventType
from askback_server.domain.exclusions import Excluded
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerStatus, Prompt
from tests.support.aggregates import ADMIN, ANN, BOB, HOUR, WORKER, JobWorld, fields_of, question, waiting

CID = Principal("cid", frozenset({Role.CONSOLE}))
DAN = Principal("dan", frozenset({Role.CONSOLE}), groups=frozenset({"ops"}))
EVE = Principal("eve", frozenset({Role.CONSOLE}), groups=frozenset({"ops", "law"}))
TRANSFER, ADD = DelegationMode.TRANSFER, DelegationMode.ADD
DIRECTORY = Electorate(
    members={("default", "ops"): GroupMembers(frozenset({"dan", "eve"}))},
    people={
        "default": {"bob": frozenset(), "cid": frozenset(), "dan": frozenset({"ops"}), "eve": frozenset()}
    },
)


def for_ann(**fields: Any) -> JobWorld:
    """A prompt that names ann only."""
    world = waiting(question(audience=Audience(frozenset({"ann"})), **fields))
    world.electorate = DIRECTORY
    return world


def give(
    world: JobWorld, who: Principal, user: str = "", mode: DelegationMode = TRANSFER, **fields: Any
) -> Prompt:
    return world.on_prompt(r.DelegatePrompt, principal=who, user=user, mode=mode, **fields)


def give_back(world: JobWorld, who: Principal, **fields: Any) -> Prompt:
    return world.on_prompt(r.ReturnPrompt, principal=who, **fields)


def because(world: JobWorld, who: Principal, user: str = "", **fields: Any) -> str:
    """Why a delegation is refused."""
    with pytest.raises(DelegationRefused) as refused:
        give(world, who, user, **fields)
    return refused.value.metadata["because"]


def test_a_transfer_moves_the_right_and_the_answer_says_for_whom() -> None:
    world = for_ann()
    prompt = give(world, ANN, "bob", comment="you know it")
    [given] = prompt.content.delegations.active if prompt.content.delegations else ()
    assert (given.holder, given.giver, given.user, given.comment) == ("ann", "ann", "bob", "you know it")
    assert (prompt.is_for(ANN), prompt.is_for(BOB)) == (False, True)
    for command in (c.ClaimPrompt, v.WithdrawAnswer):
        fields = {"answer_id": "x"} if command is v.WithdrawAnswer else {}
        with pytest.raises(PromptNotFound):
            world.on_prompt(command, principal=ANN, **fields)
    with pytest.raises(PromptNotFound):
        world.answer("late", principal=ANN)
    assert world.answer(principal=BOB).status is AnswerStatus.ACCEPTED
    answer = world.submissions()[-1].answer
    assert (answer.user_id, answer.on_behalf_of) == ("bob", "ann")
    event = world.log[-1]
    assert (event.type, (event.data or {})["on_behalf_of"]) == (EventType.PROMPT_ANSWERED, "ann")
    assert world.answer(principal=BOB).replayed


def test_who_adds_a_person_keeps_its_right() -> None:
    world = for_ann()
    prompt = give(world, ANN, "bob", ADD)
    assert (prompt.is_for(ANN), prompt.is_for(BOB)) == (True, True)
    assert world.answer(principal=ANN).status is AnswerStatus.ACCEPTED
    assert world.submissions()[-1].answer.on_behalf_of == ""


def test_each_member_of_a_group_gets_the_right() -> None:
    world = for_ann()
    prompt = give(world, ANN, group="ops")
    assert [p.subject for p in (ANN, BOB, DAN, EVE) if prompt.is_for(p)] == ["dan", "eve"]
    world.answer(principal=EVE)
    assert world.submissions()[-1].answer.on_behalf_of == "ann"


def test_a_person_with_a_right_of_its_own_answers_for_itself() -> None:
    world = waiting(question())
    prompt = give(world, ANN, "bob")
    assert (prompt.is_for(ANN), prompt.is_for(BOB), prompt.is_for(CID)) == (False, True, True)
    world.answer(principal=BOB)
    assert world.submissions()[-1].answer.on_behalf_of == ""


def test_repeating_a_delegation_changes_nothing() -> None:
    world = for_ann()
    first = give(world, ANN, "bob")
    again = give(world, ANN, "bob")
    assert (again.version, again.content.delegations) == (first.version, first.content.delegations)
    assert world.change is None
    assert give(world, BOB, "cid", ADD) == give(world, BOB, "cid", ADD)


def test_who_gave_its_right_away_reads_nothing_by_calling_again() -> None:
    world = for_ann()
    give(world, ANN, "bob")
    give(world, BOB, "cid", ADD, comment="between us")
    world.ask(content=question("The new secret?", audience=Audience(frozenset({"ann"}))))
    world.on_prompt(c.ClaimPrompt, principal=CID)
    calls = [lambda: give(world, ANN, "bob"), lambda: give_back(world, ANN, user="nora")]
    for call in calls:
        prompt = call()
        assert prompt.content.delegations is not None
        assert [each.user for each in prompt.content.delegations.active] == ["bob"]
        assert (prompt.content.title, prompt.shown_digest, prompt.claimed_by) == ("", "", "")
    assert give_back(world, BOB, user="cid").content.title == "The new secret?"
    give_back(world, ANN, user="bob")
    give(world, ANN, "bob")
    give(world, BOB, "cid")
    assert give_back(world, BOB, user="cid").content.title == "The new secret?"  # it sees it again


def test_of_an_approval_two_people_do_not_give_their_rights_to_one_group() -> None:
    both = Audience(frozenset({"ann", "bob"}))
    for approval, refusals in ((Approval(2), ["DELEGATE"]), (None, [])):
        world = waiting(question(audience=both, approval=approval))
        world.electorate = DIRECTORY
        give(world, ANN, group="ops")
        found = [because(world, BOB, group="ops")] if refusals else []
        assert found == refusals
    give(world, BOB, group="ops")
    assert world.answer(principal=DAN).status is AnswerStatus.ACCEPTED


def test_the_right_is_passed_on_three_times_at_most_and_never_back() -> None:
    world = for_ann()
    give(world, ANN, "bob")
    assert because(world, BOB, "ann") == "CHAIN"
    give(world, BOB, "cid", ADD)
    give(world, CID, "dan")
    assert because(world, DAN, "eve") == "CHAIN"
    assert because(world, DAN, "bob") == "CHAIN"
    world.answer(principal=DAN)
    assert world.submissions()[-1].answer.on_behalf_of == "ann"


def test_a_returned_right_is_the_givers_again_with_all_that_followed() -> None:
    world = for_ann()
    give(world, ANN, "bob")
    give(world, BOB, "cid")
    world.on_prompt(c.ClaimPrompt, principal=CID)
    prompt = give_back(world, BOB, user="cid")  # bob does not see it any more
    assert (prompt.is_for(BOB), prompt.is_for(CID), prompt.claimed_by) == (True, False, "")
    prompt = give_back(world, BOB, comment="not mine")
    assert (prompt.is_for(ANN), prompt.is_for(BOB)) == (True, False)
    assert (world.log[-1].data or {})["comment"] == "not mine"
    give(world, ANN, "bob")
    give(world, BOB, "cid")
    prompt = give_back(world, ANN, user="bob")
    assert [p.subject for p in (ANN, BOB, CID) if prompt.is_for(p)] == ["ann"]
    assert give_back(world, ANN, user="bob") == prompt
    assert world.change is None


@pytest.mark.parametrize("mode", [ADD, TRANSFER])
def test_a_claim_by_a_delegation_to_a_group_ends_with_it(mode: DelegationMode) -> None:
    world = for_ann()
    give(world, ANN, group="ops", mode=mode)
    world.on_prompt(c.ClaimPrompt, principal=DAN)
    assert give_back(world, ANN, group="ops").claimed_by == ""
    assert world.answer(principal=ANN).status is AnswerStatus.ACCEPTED


def test_the_claim_of_a_person_who_is_asked_by_name_stays_when_a_group_is_not_asked_any_more() -> None:
    world = waiting(question(audience=Audience(frozenset({"ann", "bob"}))))
    give(world, ANN, group="ops", mode=ADD)
    world.on_prompt(c.ClaimPrompt, principal=BOB)
    assert give_back(world, ANN, group="ops").claimed_by == "bob"


def test_an_admin_ends_any_delegation_and_gives_no_right_that_it_has_not() -> None:
    world = for_ann()
    with pytest.raises(PermissionDenied, match="ReroutePrompt"):
        give(world, ADMIN, "bob")
    give(world, ANN, "bob")
    assert give_back(world, ADMIN, user="bob").is_for(ANN)


def test_a_transfer_ends_the_claim_of_the_giver_only() -> None:
    world = waiting(question())
    world.on_prompt(c.ClaimPrompt, principal=BOB)
    assert give(world, ANN, "cid").claimed_by == "bob"
    assert give(world, BOB, "dan").claimed_by == ""


@pytest.mark.parametrize(
    ("exclusion", "user", "group"),
    [
        (Exclusion(users=frozenset({"bob"})), "bob", ""),
        (Exclusion(groups=frozenset({"ops"})), "dan", ""),
        (Exclusion(groups=frozenset({"ops"})), "", "ops"),
        (Exclusion(requester=True), "wanda", ""),
    ],
)
def test_an_excluded_person_gets_no_right(exclusion: Exclusion, user: str, group: str) -> None:
    world = for_ann(exclusion=exclusion)
    assert because(world, ANN, user, group=group) == "EXCLUDED"


def test_an_excluded_person_gives_no_right() -> None:
    both = Audience(frozenset({"ann", "bob"}))
    world = waiting(question(audience=both, exclusion=Exclusion(users=frozenset({"ann"}))))
    with pytest.raises(Excluded):
        give(world, ANN, "bob")


@pytest.mark.parametrize("who_answers", ["holder", "delegate"])
def test_who_answered_another_prompt_loses_the_delegations_to_and_from_it(who_answers: str) -> None:
    world = waiting(
        question(audience=Audience(frozenset({"ann", "dan"})), exclusion=Exclusion(answerers_of=("b",)))
    )
    world.ask("b", question("The other?"))
    give(world, ANN, "bob")
    world.answer("o", key="b", principal=ANN if who_answers == "holder" else BOB)
    prompt = world.prompt()
    assert prompt.content.delegations is not None
    assert not prompt.content.delegations.active
    assert prompt.is_for(BOB) is False
    assert prompt.content.right_of("ann", frozenset()) is not None
    with pytest.raises(Excluded if who_answers == "holder" else PromptNotFound):
        world.answer("x", principal=ANN if who_answers == "holder" else BOB)


def test_an_answer_in_the_place_of_a_person_excludes_both_from_the_next_prompt() -> None:
    world = for_ann()
    world.ask("b", question("The other?", exclusion=Exclusion(answerers_of=("a",))))
    give(world, ANN, "bob")
    world.answer(principal=BOB)
    exclusion = world.prompt("b").content.exclusion
    assert exclusion is not None
    assert exclusion.users == {"ann", "bob"}


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (DelegationPolicy(), {"bob", "dan", "ops"}),
        (DelegationPolicy(DelegationScope.NO_ONE), set()),
        (DelegationPolicy(DelegationScope.LISTED, frozenset({"bob"})), {"bob"}),
        (DelegationPolicy(DelegationScope.LISTED, groups=frozenset({"ops"})), {"ops"}),
        (DelegationPolicy(DelegationScope.AUDIENCE), {"dan", "ops"}),
    ],
)
def test_the_prompts_policy_says_to_whom(policy: DelegationPolicy, allowed: set[str]) -> None:
    audience = Audience(frozenset({"ann"}), frozenset({"ops"}))
    for target in ("bob", "dan", "ops"):
        world = waiting(question(audience=audience, delegation_policy=policy))
        world.electorate = DIRECTORY
        where = {"group": target} if target == "ops" else {"user": target}
        if target in allowed:
            give(world, ANN, mode=ADD, **where)
        else:
            assert because(world, ANN, mode=ADD, **where) == "POLICY"


def test_only_people_and_groups_that_exist_and_are_there_get_a_right() -> None:
    world = for_ann()
    assert because(world, ANN, "zoe") == "UNKNOWN"
    assert because(world, ANN, group="none") == "UNKNOWN"
    world.absences = Absences.of([Absence("1", "default", "bob", world.now, world.now + HOUR, "cid")])
    with pytest.raises(DelegationRefused, match="the substitute is cid"):
        give(world, ANN, "bob")
    give(world, ANN, "dan")
    assert because(for_ann(), replace(ANN, groups=frozenset({"ops"})), group="ops") == "MEMBER"


def test_a_person_acts_for_one_other_only() -> None:
    world = waiting(question(audience=Audience(frozenset({"ann", "bob"}))))
    give(world, ANN, "cid")
    assert because(world, BOB, "cid") == "DELEGATE"


def test_a_prompt_has_a_limited_number_of_delegations() -> None:
    world = waiting(question(audience=Audience(frozenset({"ann"}))))
    for number in range(MAX_DELEGATIONS):
        give(world, ANN, f"p{number}", ADD)
    assert because(world, ANN, "one-more", mode=ADD) == "LIMIT"
    give_back(world, ANN, user="p0")
    assert give(world, ANN, "one-more", ADD).is_open


@pytest.mark.parametrize(
    "fields", [{}, {"user": "bob", "group": "ops"}, {"user": "b\0"}, {"user": "x" * 999}]
)
def test_a_target_is_one_person_or_one_group(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidField) as refused:
        give(for_ann(), ANN, **fields)
    assert fields_of(refused.value) == {"user"}


def test_a_closed_prompt_is_not_delegated() -> None:
    world = for_ann()
    give(world, ANN, "bob", ADD)
    world.answer(principal=BOB)
    with pytest.raises(PromptClosed):
        give(world, ANN, "cid")
    with pytest.raises(PromptClosed):
        give_back(world, BOB)


# --- with an approval ---


def two(**fields: Any) -> JobWorld:
    """A prompt that two of ann, bob and cid must approve."""
    audience = Audience(frozenset({"ann", "bob", "cid"}))
    world = waiting(question(**{"audience": audience, "approval": Approval(2), **fields}))
    world.electorate = DIRECTORY
    return world


def test_of_all_who_act_for_a_person_one_vote_counts() -> None:
    world = two()
    give(world, ANN, "dan", ADD)
    give(world, ANN, "eve", ADD)
    assert world.answer("d", principal=DAN).status is AnswerStatus.RECORDED
    with pytest.raises(PermissionDenied, match="through dan"):
        world.answer("e", principal=EVE)
    assert world.answer("a", principal=ANN).status is AnswerStatus.RECORDED  # in place of her delegate's
    votes = world.prompt().votes
    assert votes is not None
    assert [vote.user_id for vote in votes.live] == ["ann"]
    with pytest.raises(PermissionDenied, match="itself"):
        world.answer("d2", principal=DAN)
    assert world.answer("b", principal=BOB).status is AnswerStatus.ACCEPTED


def test_a_right_whose_vote_counts_is_not_given_away() -> None:
    world = two()
    world.answer("b", principal=BOB)
    assert because(world, BOB, "dan") == "VOTED"
    assert because(world, ANN, "bob") == "VOTED"
    give(world, ANN, "dan", ADD)
    world.on_prompt(v.WithdrawAnswer, principal=BOB, answer_id="b")
    assert give(world, BOB, "eve").content.right_of("bob", frozenset()) is None


def test_a_vote_ends_with_its_delegation() -> None:
    world = two()
    give(world, ANN, "dan")
    world.answer("d", principal=DAN)
    prompt = give_back(world, ANN, user="dan")
    assert prompt.votes is not None
    assert (prompt.votes.live, prompt.votes.earlier) == ((), {"dan"})
    assert (world.log[-1].data or {})["votes"] == ["d"]
    assert world.answer("a", principal=ANN).status is AnswerStatus.RECORDED
    assert world.answer("b", principal=BOB).status is AnswerStatus.ACCEPTED


def test_what_could_not_be_reached_any_more_is_refused() -> None:
    world = two(audience=Audience(frozenset({"ann", "bob"})))
    assert because(world, ANN, "bob") == "SHORTAGE"
    assert give(world, ANN, "dan").is_open


def test_a_delegate_fills_a_place_of_its_own_groups_only() -> None:
    approval = Approval(2, (GroupApproval("law", 1),))
    world = two(approval=approval, audience=Audience(frozenset({"ann", "bob"})))
    give(world, ANN, "dan")
    world.answer("d", principal=DAN)
    world.answer("b", principal=BOB)
    assert world.prompt().is_open  # ann is of law, and dan is not
    give_back(world, ANN, user="dan")
    assert world.answer("a", principal=ANN).status is AnswerStatus.ACCEPTED


def test_a_vote_ends_when_the_holder_of_its_right_leaves() -> None:
    world = two(audience=Audience(frozenset({"bob", "cid"}), frozenset({"law"})))
    give(world, ANN, "dan")
    world.answer("d", principal=DAN)
    world.tick(timedelta(seconds=1))
    gone = Departures({("ann", "law"): world.now})
    world.electorate = replace(DIRECTORY, departures={"default": gone})
    assert world.answer("b", principal=BOB).status is AnswerStatus.RECORDED
    votes = world.prompt().votes
    assert votes is not None
    assert [vote.user_id for vote in votes.live] == ["bob"]
    with pytest.raises(PermissionDenied, match="not asked any more"):
        world.answer("d2", principal=DAN)


def test_an_audience_that_is_replaced_ends_the_delegations_of_those_who_leave_it() -> None:
    step = EscalationStep(HOUR, Audience(frozenset({"bob", "cid"})), replace=True)
    world = two(escalation=(step,))
    give(world, ANN, "dan")
    give(world, BOB, "eve", ADD)
    world.answer("d", principal=DAN)
    world.tick(HOUR).expire()
    prompt = world.prompt()
    assert prompt.content.delegations is not None
    assert [each.holder for each in prompt.content.delegations.active] == ["bob"]
    assert prompt.votes is not None
    assert not prompt.votes.live
    assert [p.subject for p in (ANN, BOB, CID, DAN, EVE) if prompt.is_for(p)] == ["bob", "cid", "eve"]


def test_an_amendment_keeps_the_delegations_of_those_it_asks_again() -> None:
    world = two()
    give(world, ANN, "dan")
    give(world, BOB, "eve")
    again = question("Really?", audience=Audience(frozenset({"ann", "cid"})), approval=Approval(2))
    prompt = world.ask(content=again).prompt
    assert [p.subject for p in (ANN, BOB, CID, DAN, EVE) if prompt.is_for(p)] == ["cid", "dan"]


def test_the_question_stays_the_same_while_it_is_delegated() -> None:
    world = for_ann()
    before = world.prompt()
    after = give(world, ANN, "bob")
    assert (after.digest, after.shown_digest, after.revision) == (before.digest, before.shown_digest, 1)
    asked = question(audience=Audience(frozenset({"ann"})))
    assert world.ask(content=asked).replayed
    assert isinstance(asked, PromptContent)
    assert world.on_job(c.ReleaseJob, principal=WORKER) is not None


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"exclusion": Exclusion(groups=frozenset({"ops"}))}, {"bob"}),
        ({"exclusion": Exclusion(users=frozenset({"bob"}))}, {"ops"}),
        ({"delegation_policy": DelegationPolicy(DelegationScope.NO_ONE)}, set()),
        ({"delegation_policy": DelegationPolicy(DelegationScope.AUDIENCE)}, set()),
        ({"delegation_policy": DelegationPolicy(DelegationScope.LISTED, frozenset({"bob"}))}, {"bob"}),
        ({"delegation_policy": DelegationPolicy(DelegationScope.ANYONE)}, {"bob", "ops"}),
    ],
)
def test_an_amendment_ends_the_delegations_that_it_does_not_allow(
    fields: dict[str, Any], kept: set[str]
) -> None:
    world = for_ann()
    give(world, ANN, "bob", ADD)
    give(world, ANN, group="ops")
    world.ask(content=question("Really?", audience=Audience(frozenset({"ann"})), **fields))
    given = world.prompt().content.delegations
    assert given is not None
    assert {each.user or each.group for each in given.active} == kept
    assert (given.gone == {"ann"}) == ("ops" in kept)
