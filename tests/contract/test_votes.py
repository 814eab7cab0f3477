"""Approval by several people: votes, what they come to, and who may cast them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import Audience, Exclusion, Part, PromptContent
from askback_server.domain.decisions import Decision, DecisionOption, Edit
from askback_server.domain.errors import (
    IdReused,
    InvalidField,
    LimitExceeded,
    PermissionDenied,
    PromptClosed,
    PromptNotFound,
)
from askback_server.domain.events import EventType
from askback_server.domain.people import PersonSetting, set_person
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerResult, AnswerStatus, Prompt, PromptState
from askback_server.domain.vote_commands import OverridePrompt, WithdrawAnswer
from askback_server.domain.voting_rules import AnswerNotFound
from tests.support.aggregates import ADMIN, question
from tests.support.storage import Node, check_job
from tests.support.waiting import until

RECORDED, ACCEPTED = AnswerStatus.RECORDED, AnswerStatus.ACCEPTED
ACCEPT, EDIT, REVISE, REJECT = Decision.ACCEPT, Decision.EDIT, Decision.REVISE, Decision.REJECT
OPTIONS = tuple(DecisionOption(d, d.title()) for d in (ACCEPT, EDIT, REVISE, REJECT))


def person(name: str, *groups: str) -> Principal:
    return Principal(name, frozenset({Role.CONSOLE}), groups=frozenset(groups))


AMY, BEN, CAT = person("amy", "a", "b"), person("ben", "a"), person("cat", "c")


def approved(required: int = 2, **fields: Any) -> PromptContent:
    """A question that needs `required` people. Fields of Approval, and of the content."""
    names = ("per_group", "reject_at", "shared")
    approval = Approval(required, **{name: fields.pop(name) for name in names if name in fields})
    parts = (Part("plan", "Plan", "text/plain", "one", editable=True),)
    return question(kind="preview", decisions=OPTIONS, parts=parts, approval=approval, **fields)


def needs(**groups: int) -> tuple[GroupApproval, ...]:
    return tuple(GroupApproval(group, count) for group, count in groups.items())


async def vote(
    here: Node, prompt: Prompt, principal: Principal, decision: Decision = ACCEPT, **fields: Any
) -> AnswerResult:
    fields.setdefault("answer_id", f"{principal.subject}-{decision}")
    return await here.do(
        c.AnswerPrompt(
            principal=principal,
            ref=PromptRef(prompt.prompt_id),
            revision=prompt.revision,
            decision=decision,
            **fields,
        )
    )


async def withdraw(here: Node, prompt: Prompt, principal: Principal, answer_id: str) -> Prompt:
    ref = PromptRef(prompt.prompt_id)
    return await here.do(WithdrawAnswer(principal=principal, ref=ref, answer_id=answer_id))


async def test_the_last_vote_that_is_needed_resolves_the_prompt(here: Node) -> None:
    job, prompt = await here.waiting(approved(2))
    first = await vote(here, prompt, AMY)
    assert (first.status, first.prompt.state) == (RECORDED, PromptState.PENDING)
    assert [v.user_id for v in first.prompt.votes.live] == ["amy"]
    last = await vote(here, prompt, BEN, comment="go")
    assert (last.status, last.prompt.state) == (ACCEPTED, PromptState.ANSWERED)
    assert last.prompt.resolution.answer.user_id == "ben"
    again = await vote(here, prompt, AMY)
    assert (again.status, again.replayed, again.prompt.state) == (RECORDED, True, PromptState.ANSWERED)
    late = await vote(here, prompt, CAT)
    assert (late.status, late.prompt.resolution.answer.user_id) == (AnswerStatus.CLOSED, "ben")
    _, events = await check_job(here.database, job.job_id)
    [answered] = [e for e in events if e.type is EventType.PROMPT_ANSWERED]
    assert answered.data["votes"] == ["amy-ACCEPT", "ben-ACCEPT"]
    assert [e.data["answer_id"] for e in events if e.type is EventType.PROMPT_VOTED] == [
        "amy-ACCEPT",
        "ben-ACCEPT",
    ]


async def test_three_people_race_for_two_places(here: Node) -> None:
    job, prompt = await here.waiting(approved(2))
    results = await asyncio.gather(*(vote(here, prompt, who) for who in (AMY, BEN, CAT)))
    assert sorted(r.status for r in results) == ["ACCEPTED", "CLOSED", "RECORDED"]
    aggregate, events = await check_job(here.database, job.job_id)
    assert sum(e.type is EventType.PROMPT_ANSWERED for e in events) == 1
    [stored] = aggregate.prompts.values()
    assert len(stored.votes.live) == 2


async def test_a_person_has_one_vote_and_another_answer_replaces_it(here: Node) -> None:
    job, prompt = await here.waiting(approved(2, reject_at=2))
    await vote(here, prompt, AMY)
    second = await vote(here, prompt, AMY, answer_id="second")
    assert (second.status, len(second.prompt.votes.live)) == (RECORDED, 1)
    changed = await vote(here, prompt, AMY, REJECT)
    assert [v.answer.decision for v in changed.prompt.votes.live] == [REJECT]
    assert (await vote(here, prompt, BEN)).status is RECORDED
    assert (await vote(here, prompt, BEN, REJECT)).status is ACCEPTED
    _, events = await check_job(here.database, job.job_id)
    replaced = [e.data.get("replaces") for e in events if e.type is EventType.PROMPT_VOTED]
    assert replaced == [None, "amy-ACCEPT", "second", None, "ben-ACCEPT"]


@pytest.mark.parametrize(
    ("order", "outcome"), [("ARA", ACCEPT), ("RAA", ACCEPT), ("RRA", REJECT), ("AAR", ACCEPT)]
)
async def test_rejections_count_up_to_their_own_number(here: Node, order: str, outcome: Decision) -> None:
    _, prompt = await here.waiting(approved(2, reject_at=2))
    decisions = {"A": ACCEPT, "R": REJECT}
    for who, letter in zip((AMY, BEN, CAT), order, strict=True):
        result = await vote(here, prompt, who, decisions[letter])
    assert result.prompt.resolution.answer.decision is outcome


async def test_one_rejection_or_revision_ends_it_by_default(here: Node) -> None:
    for decision in (REJECT, REVISE):
        _, prompt = await here.waiting(approved(2, reject_at=0), request_id=decision)
        await vote(here, prompt, AMY)
        assert (await vote(here, prompt, BEN, decision)).prompt.resolution.answer.decision is decision


async def test_votes_count_by_what_they_decide(here: Node) -> None:
    _, prompt = await here.waiting(approved(2))
    proposal = (Edit("plan", "two"),)
    first = await vote(here, prompt, AMY, EDIT, edits=proposal)
    assert first.prompt.content.parts[0].text == "one"
    assert (await vote(here, prompt, BEN)).status is RECORDED
    other = await vote(here, prompt, BEN, EDIT, edits=(Edit("plan", "three"),), answer_id="other")
    assert other.status is RECORDED
    result = await vote(here, prompt, CAT, EDIT, edits=proposal)
    assert (result.status, result.prompt.resolution.answer.edits) == (ACCEPTED, proposal)


async def test_every_group_needs_its_own_people(here: Node) -> None:
    # First come, first served would give amy the place of `a`, and ben none.
    _, prompt = await here.waiting(approved(0, per_group=needs(a=1, b=1)))
    assert (await vote(here, prompt, AMY)).status is RECORDED
    with pytest.raises(PermissionDenied, match="would not count"):
        await vote(here, prompt, CAT)
    assert (await vote(here, prompt, BEN)).status is ACCEPTED


async def test_a_shared_approval_counts_a_person_in_each_of_its_groups(here: Node) -> None:
    _, prompt = await here.waiting(approved(0, per_group=needs(a=1, b=1), shared=True))
    assert (await vote(here, prompt, BEN)).status is RECORDED
    assert (await vote(here, prompt, AMY)).status is ACCEPTED


async def test_a_vote_is_withdrawn_by_its_author_while_the_prompt_is_open(here: Node) -> None:
    job, prompt = await here.waiting(approved(2))
    await vote(here, prompt, AMY)
    for who, answer_id, error in (
        (BEN, "amy-ACCEPT", AnswerNotFound),
        (AMY, "other", AnswerNotFound),
        (ADMIN, "amy-ACCEPT", AnswerNotFound),
    ):
        with pytest.raises(error):
            await withdraw(here, prompt, who, answer_id)
    left = await withdraw(here, prompt, AMY, "amy-ACCEPT")
    assert (left.votes.live, left.votes.earlier) == ((), frozenset({"amy"}))
    assert (await withdraw(here, prompt, AMY, "amy-ACCEPT")).version == left.version
    assert (await vote(here, prompt, BEN)).status is RECORDED
    assert (await vote(here, prompt, AMY, answer_id="again")).status is ACCEPTED
    with pytest.raises(PromptClosed):
        await withdraw(here, prompt, BEN, "ben-ACCEPT")
    await check_job(here.database, job.job_id)


async def test_a_withdrawal_races_with_the_last_vote(here: Node) -> None:
    for n in range(20):
        job, prompt = await here.waiting(approved(2), request_id=str(n))
        await vote(here, prompt, AMY)
        both = vote(here, prompt, BEN), withdraw(here, prompt, AMY, "amy-ACCEPT")
        last, gone = await asyncio.gather(*(both if n % 2 else reversed(both)), return_exceptions=True)
        if not n % 2:
            last, gone = gone, last
        if isinstance(gone, PromptClosed):
            assert last.status is ACCEPTED
        else:
            assert (last.status, [v.user_id for v in last.prompt.votes.live]) == (RECORDED, ["ben"])
        await check_job(here.database, job.job_id)


async def test_an_amendment_ends_the_votes(here: Node) -> None:
    job, prompt = await here.waiting(approved(2))
    await vote(here, prompt, AMY)
    after = await here.ask(job, prompt.key, replace(approved(2), title="Another?"))
    assert (after.revision, after.votes.live, after.votes.earlier) == (2, (), frozenset({"amy"}))
    assert (await vote(here, prompt, BEN)).status is AnswerStatus.STALE
    assert (await vote(here, after, BEN, answer_id="b2")).status is RECORDED
    assert (await vote(here, after, AMY, answer_id="a2")).status is ACCEPTED


async def test_the_approval_is_part_of_the_question(here: Node) -> None:
    job, prompt = await here.waiting(approved(2))
    assert (await here.ask(job, prompt.key, approved(2))).revision == 1
    other = await here.ask(job, prompt.key, approved(3))
    assert (other.revision, other.content.approval.required) == (2, 3)
    for who in (AMY, BEN, CAT):
        await vote(here, other, who)
    for same in (False, True):
        with pytest.raises(IdReused):
            await here.do(replace(here.ask_command(job, prompt.key, approved(2)), same=same))


async def test_a_voter_who_is_excluded_later_loses_the_vote(here: Node) -> None:
    job, first = await here.waiting()
    second = await here.ask(job, "second", approved(2, exclusion=Exclusion(answerers_of=(first.key,))))
    await vote(here, second, AMY)
    await here.answer(first, principal=AMY)
    [after] = await here.database.jobs.get_prompts([second.prompt_id])
    assert (after.votes.live, after.content.exclusion.users) == ((), frozenset({"amy"}))
    await vote(here, after, BEN)
    assert (await vote(here, after, CAT)).status is ACCEPTED
    await check_job(here.database, job.job_id)


async def test_a_vote_excludes_from_the_next_prompt_also_after_it_was_withdrawn(here: Node) -> None:
    job, first = await here.waiting(approved(2))
    second = await here.ask(job, "second", question(exclusion=Exclusion(answerers_of=(first.key,))))
    await vote(here, first, AMY)
    [after] = await here.database.jobs.get_prompts([second.prompt_id])
    assert after.excludes(AMY)
    await withdraw(here, first, AMY, "amy-ACCEPT")
    third = await here.ask(job, "third", question(exclusion=Exclusion(answerers_of=(first.key,))))
    assert third.excludes(AMY)


async def test_an_admin_outside_the_audience_has_no_vote(here: Node) -> None:
    _, prompt = await here.waiting(approved(2, audience=Audience(frozenset({"amy", "ben"}))))
    with pytest.raises(PermissionDenied, match="only its audience may vote"):
        await vote(here, prompt, ADMIN)
    with pytest.raises(PromptNotFound):
        await vote(here, prompt, CAT)
    await vote(here, prompt, AMY)
    assert (await vote(here, prompt, BEN)).status is ACCEPTED


async def test_who_has_left_the_group_since_the_vote_does_not_count(here: Node) -> None:
    people = here.database.people
    await people.change("default", ["amy"], lambda _: set_person(member("amy", "a", "b"), "root"))
    _, prompt = await here.waiting(approved(2, audience=Audience(groups=frozenset({"a", "c"}))))
    await vote(here, prompt, AMY)
    await people.change("default", ["amy"], lambda _: set_person(member("amy", "b"), "root"))
    result = await vote(here, prompt, BEN)
    assert result.status is RECORDED
    [event] = [
        e for e in await events_of(here, prompt) if e.type is EventType.PROMPT_VOTED and "votes" in e.data
    ]
    assert event.data["votes"] == ["amy-ACCEPT"]
    assert [v.user_id for v in result.prompt.votes.live] == ["ben"]
    assert (await vote(here, prompt, CAT)).status is ACCEPTED


def member(name: str, *groups: str, active: bool = True) -> PersonSetting:
    return PersonSetting("default", name, groups=frozenset(groups), active=active)


async def events_of(here: Node, prompt: Prompt) -> list[Any]:
    _, events = await check_job(here.database, prompt.job_id)
    return events


async def test_an_inactive_person_does_not_count(here: Node) -> None:
    people = here.database.people
    await people.change("default", ["amy"], lambda _: set_person(member("amy"), "root"))
    _, prompt = await here.waiting(approved(2))
    await vote(here, prompt, AMY)
    await people.change("default", ["amy"], lambda _: set_person(member("amy", active=False), "root"))
    assert (await vote(here, prompt, BEN)).status is RECORDED
    assert (await vote(here, prompt, CAT)).status is ACCEPTED


async def test_an_approval_that_cannot_be_reached_is_refused_with_the_counts(here: Node) -> None:
    people = here.database.people
    for name in ("amy", "ben"):
        await people.change("default", [name], lambda _, n=name: set_person(member(n, "a"), "root"))
    job = await here.lease(await here.create(), await here.session())
    content = approved(0, per_group=needs(a=3))
    flagged = await here.ask(job, "flagged", content)
    assert [(s.group, s.required, s.known) for s in flagged.votes.shortfalls] == [("a", 3, 2)]
    await people.set_group("default", "a", complete=True)
    with pytest.raises(InvalidField, match="needs 3 of the group 'a', and 2 may approve"):
        await here.ask(job, "refused", content)
    excluded = approved(0, per_group=needs(a=2), exclusion=Exclusion(users=frozenset({"ben"})))
    with pytest.raises(InvalidField, match="needs 2 of the group 'a', and 1 may approve"):
        await here.ask(job, "excluded", excluded)
    fits = await here.ask(job, "fits", approved(0, per_group=needs(a=2)))
    assert fits.votes.shortfalls == ()
    all_of_a = Audience(groups=frozenset({"a"}))
    with pytest.raises(InvalidField, match="needs 3 people, and 2 may approve"):
        await here.ask(job, "audience", approved(3, audience=all_of_a))


async def test_a_claim_ends_with_the_vote(here: Node) -> None:
    _, prompt = await here.waiting(approved(2))
    await here.do(c.ClaimPrompt(principal=AMY, ref=PromptRef(prompt.prompt_id)))
    await vote(here, prompt, AMY)
    assert (await vote(here, prompt, BEN)).status is ACCEPTED


async def test_the_deadline_ends_it_without_the_votes(here: Node) -> None:
    for seconds in (0.2, 2.0, 20.0):  # on a busy machine the vote can come after a short one
        job, prompt = await here.waiting(approved(2, timeout=timedelta(seconds=seconds)))
        if (await vote(here, prompt, AMY)).status is RECORDED:
            break

    async def is_due() -> bool:
        return await here.do(c.RunDue(job_id=job.job_id)) is None

    await until(is_due, "the deadline has passed")
    [after] = await here.database.jobs.get_prompts([prompt.prompt_id])
    assert (after.state, [v.user_id for v in after.votes.live]) == (PromptState.EXPIRED, ["amy"])
    await check_job(here.database, job.job_id)


async def test_the_votes_of_a_prompt_are_bounded(here: Node) -> None:
    _, prompt = await here.waiting(approved(3))
    large = "x" * 15_000
    for n in range(17):
        await vote(here, prompt, person(f"p{n}"), EDIT, edits=(Edit("plan", f"{n}"),), comment=large)
    with pytest.raises(LimitExceeded):
        await vote(here, prompt, person("p17"), EDIT, edits=(Edit("plan", "p17"),), comment=large)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (approved(51), "content.approval.required"),
        (approved(-1), "content.approval.required"),
        (approved(2, reject_at=-1), "content.approval.reject_at"),
        (approved(2, per_group=needs(a=0)), "content.approval.per_group[0].required"),
        (approved(2, per_group=needs(a=2, b=1)), "content.approval.required"),
        (approved(0, per_group=(*needs(a=1), *needs(a=1))), "content.approval.per_group[1].group"),
        (question(kind="clarify", approval=Approval(2)), "content.decisions"),
        (
            question(decisions=(*OPTIONS, DecisionOption(Decision.DISMISS, "No")), approval=Approval(2)),
            "content.decisions[4].decision",
        ),
    ],
)
async def test_an_approval_without_sense_is_refused(here: Node, content: PromptContent, field: str) -> None:
    job = await here.lease(await here.create(), await here.session())
    with pytest.raises(InvalidField) as caught:
        await here.ask(job, "a", content)
    assert field in [v.field for v in caught.value.violations]


async def test_decisions_of_one_person_are_left_out_of_the_defaults(here: Node) -> None:
    content = question(kind="deep_understanding", approval=Approval(2))
    job = await here.lease(await here.create(), await here.session())
    prompt = await here.ask(job, "a", content)
    assert [o.decision for o in prompt.content.decisions] == [ACCEPT, REJECT]


async def test_a_namespace_without_the_setting_refuses_overrides(here: Node) -> None:
    _, prompt = await here.waiting(approved(2))
    command = OverridePrompt(
        principal=ADMIN,
        ref=PromptRef(prompt.prompt_id),
        answer_id="o",
        revision=1,
        decision=ACCEPT,
        comment="now",
    )
    with pytest.raises(PermissionDenied) as refused:
        await here.do(command)
    assert refused.value.metadata == {"namespace": "default", "needs": "allow_override"}
    [after] = await here.database.jobs.get_prompts([prompt.prompt_id])
    assert (after.submissions, after.is_open) == (0, True)
