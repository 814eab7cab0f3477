"""Cases of exclusions and votes: retries, amendments, people who leave, and what can be reached at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import Audience, EscalationStep, Exclusion
from askback_server.domain.decisions import Edit
from askback_server.domain.documents import content_to_json
from askback_server.domain.errors import (
    IllegalState,
    InvalidField,
    LimitExceeded,
    PermissionDenied,
    PromptNotFound,
)
from askback_server.domain.exclusions import Excluded
from askback_server.domain.people import set_person
from askback_server.domain.principals import Principal, Role
from askback_server.domain.retries import Keep
from askback_server.domain.retry_rules import plan_retry, repeat_job
from askback_server.domain.routing_commands import ReroutePrompt
from askback_server.storage import tables
from tests.contract.test_votes import (
    ACCEPT,
    ACCEPTED,
    AMY,
    BEN,
    CAT,
    EDIT,
    RECORDED,
    approved,
    member,
    needs,
    person,
    vote,
    withdraw,
)
from tests.support.aggregates import ADMIN, ANN, BOB, CLIENT, HOUR, question
from tests.support.storage import Node, check_job, execute
from tests.support.waiting import until

EVA = Principal("eva", frozenset({Role.CONSOLE}), groups=frozenset({"law"}))


async def retried(here: Node, job: Any, by: Principal = CLIENT) -> Any:
    [old] = await here.database.jobs.get_jobs([job.job_id])
    kept = await here.database.jobs.list_kept_answers(job.job_id)
    plan = replace(plan_retry(old, Keep.ALL), answers=tuple(kept))
    again = (await here.do(repeat_job(old, plan, by, "r"))).job
    return await here.lease(again, await here.session())


async def test_a_retry_by_a_colleague_keeps_the_first_requester_excluded(here: Node) -> None:
    dora = Principal("dora", frozenset({Role.CLIENT, Role.CONSOLE}))
    job = (await here.do(c.CreateJob(principal=dora, namespace="", job_type="t"))).job
    job = await here.lease(job, await here.session())
    await here.complete(job)
    again = await retried(here, job, by=CLIENT)
    prompt = await here.ask(again, "release", question(exclusion=Exclusion(requester=True)))
    with pytest.raises(Excluded):
        await here.answer(prompt, principal=dora)


async def test_a_retry_does_not_carry_the_answer_of_an_excluded_group(here: Node) -> None:
    job, prompt = await here.waiting(question())
    await here.answer(prompt, principal=EVA)
    await here.complete(job)
    again = await retried(here, job)
    asked = await here.ask(again, prompt.key, question(exclusion=Exclusion(groups=frozenset({"law"}))))
    assert asked.is_open


async def test_a_prompt_cannot_exclude_its_own_voters(here: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    with pytest.raises(InvalidField):
        await here.ask(job, "a", approved(2, exclusion=Exclusion(answerers_of=("a",))))


async def test_voters_before_an_amendment_to_one_person_stay_excluded(here: Node) -> None:
    job, prompt = await here.waiting(approved(2))
    await vote(here, prompt, AMY)
    await here.ask(job, prompt.key, replace(approved(2), title="Other", approval=None))
    other = await here.ask(job, "second", question(exclusion=Exclusion(answerers_of=(prompt.key,))))
    assert other.excludes(AMY)


async def test_an_approval_asked_again_by_a_retry_has_its_times_checked(here: Node) -> None:
    job, prompt = await here.waiting(approved(1))
    await vote(here, prompt, AMY)
    await here.complete(job)
    again = await retried(here, job)
    past = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidField):
        await here.ask(again, prompt.key, replace(approved(1), deadline=past))


async def test_who_left_the_only_group_by_which_it_was_asked_does_not_count(here: Node) -> None:
    people = here.database.people
    await people.change("default", ["amy"], lambda _: set_person(member("amy", "staff", "qa"), "root"))
    staff = Audience(groups=frozenset({"staff"}))
    amy, ben = person("amy", "staff", "qa"), person("ben", "staff")
    _, prompt = await here.waiting(approved(2, audience=staff, per_group=needs(qa=1)))
    await vote(here, prompt, amy)
    await people.change("default", ["amy"], lambda _: set_person(member("amy", "qa"), "root"))
    assert (await vote(here, prompt, ben)).status is RECORDED


async def test_a_person_that_the_directory_has_as_inactive_has_no_vote(here: Node) -> None:
    people = here.database.people
    await people.change("default", ["amy"], lambda _: set_person(member("amy", active=False), "root"))
    _, prompt = await here.waiting(approved(2))
    with pytest.raises(PermissionDenied, match="inactive"):
        await vote(here, prompt, AMY)
    named = replace(member("amy"), display_name="Amy")
    await people.change("default", ["amy"], lambda _: set_person(named, "root"))
    assert (await vote(here, prompt, AMY)).status is RECORDED


async def test_empty_values_in_other_notation_count_together(here: Node) -> None:
    _, prompt = await here.waiting(approved(2))
    await vote(here, prompt, AMY, values_json="{}")
    assert (await vote(here, prompt, BEN, values_json="{ }")).status is ACCEPTED


async def test_an_audience_of_the_requester_alone_is_refused(here: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    content = question(audience=Audience(frozenset({"carl"})), exclusion=Exclusion(requester=True))
    with pytest.raises(InvalidField):
        await here.ask(job, "a", content)


async def test_an_escalation_to_everyone_makes_an_exclusion_of_the_first_audience_possible(
    here: Node,
) -> None:
    job = await here.lease(await here.create(), await here.session())
    content = question(
        audience=Audience(frozenset({"bob"})),
        escalation=(EscalationStep(HOUR, Audience(), replace=True),),
        exclusion=Exclusion(users=frozenset({"bob"})),
    )
    await here.ask(job, "a", content)


async def test_a_vote_of_who_was_escalated_away_does_not_count(here: Node) -> None:
    step = EscalationStep(HOUR, Audience(frozenset({"ben", "cat"})), replace=True)
    content = approved(2, audience=Audience(frozenset({"amy"})), escalation=(step,))
    job, prompt = await here.waiting(content)
    await vote(here, prompt, AMY)
    # If it was due so early when it was asked, it could be before the vote on a busy machine.
    soon = (replace(step, after=timedelta(milliseconds=200)),)
    await here.do(ReroutePrompt(principal=CLIENT, ref=PromptRef(prompt.prompt_id), escalation=soon))

    async def is_taken() -> bool:
        await here.do(c.RunDue(job_id=job.job_id))
        [now] = await here.database.jobs.get_prompts([prompt.prompt_id])
        return now.content.audience.users == {"ben", "cat"}

    await until(is_taken, "the step is taken")
    result = await vote(here, prompt, BEN)
    assert (result.status, [v.user_id for v in result.prompt.votes.live]) == (RECORDED, ["ben"])
    await check_job(here.database, job.job_id)


async def test_an_approval_of_none_of_a_large_complete_group_is_not_refused(here: Node) -> None:
    """Members beyond MAX_MEMBERS are not read: they must not count as no members."""
    people = here.database.people
    names = [f"p{n:04}" for n in range(1001)] + ["zoe", "zora"]
    await people.change("default", names, lambda key: set_person(member(key[1], "a"), "root"))
    await people.set_group("default", "a", complete=True)
    job = await here.lease(await here.create(), await here.session())
    asked = Audience(frozenset({"zoe", "zora"}))
    await here.ask(job, "a", approved(2, per_group=needs(a=2), audience=asked))


async def test_votes_bytes_counts_bytes(here: Node) -> None:
    _, prompt = await here.waiting(approved(3))
    large = "\U0001f600" * 3_500  # 14 kB each
    for n in range(18):
        await vote(here, prompt, person(f"p{n}"), EDIT, edits=(Edit("plan", f"{n}"),), comment=large)
    with pytest.raises(LimitExceeded):
        await vote(here, prompt, person("p18"), EDIT, edits=(Edit("plan", "18"),), comment=large)


async def test_an_exclusion_of_a_whole_complete_group_is_refused(here: Node) -> None:
    """ADR 0059: an exclusion that leaves no person is refused if groups are marked complete."""
    people = here.database.people
    await people.change("default", ["bob"], lambda _: set_person(member("bob", "a"), "root"))
    await people.set_group("default", "a", complete=True)
    job = await here.lease(await here.create(), await here.session())
    excluded = Exclusion(users=frozenset({"bob"}))
    with pytest.raises(InvalidField):
        await here.ask(job, "a", question(audience=Audience(groups=frozenset({"a"})), exclusion=excluded))


async def test_an_excluded_group_of_the_whole_audience_is_refused(here: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    excluded = Exclusion(groups=frozenset({"a"}))
    with pytest.raises(InvalidField):
        await here.ask(job, "a", question(audience=Audience(groups=frozenset({"a"})), exclusion=excluded))


async def test_decimals_in_other_notation_and_huge(here: Node) -> None:
    from askback_server.domain.answers import Answer, AnswerSource
    from askback_server.domain.votes import outcome_of

    def outcome(values: str) -> str:
        return outcome_of(Answer("a", ACCEPT, values, (), "", AnswerSource.HUMAN, "u", 1, datetime.now(UTC)))

    assert outcome('{"a":1}') == outcome('{"a":1.0}') == outcome('{"a":10e-1}')
    assert outcome('{"a":0}') == outcome('{"a":-0.0}') == outcome('{"a":0e99}')
    assert outcome('{"a":9007199254740993}') != outcome('{"a":9007199254740992}')
    assert outcome('{"a":1e400}') == outcome('{"a":10e399}')
    assert outcome('{"a":true}') != outcome('{"a":1}')
    assert outcome('{"a":"1e0"}') != outcome('{"a":1}')
    assert outcome('{"a":["number","1e0"]}') != outcome('{"a":1}')
    assert outcome('{"a":1e99999999999999999999}') == outcome('{"a":10e99999999999999999998}')


async def test_a_voter_can_not_block_the_others_by_a_claim(here: Node) -> None:
    _, prompt = await here.waiting(approved(2))
    await vote(here, prompt, AMY)
    await here.do(c.ClaimPrompt(principal=AMY, ref=PromptRef(prompt.prompt_id), duration=timedelta(days=1)))
    assert (await vote(here, prompt, BEN)).status is ACCEPTED


async def test_a_deleted_person_who_votes_again_counts(here: Node) -> None:
    people = here.database.people
    await people.change("default", ["amy"], lambda _: set_person(member("amy", "a"), "root"))
    _, prompt = await here.waiting(approved(2, audience=Audience(groups=frozenset({"a"}))))
    await vote(here, prompt, AMY)
    await people.change("default", ["amy"], lambda _: set_person(member("amy", "a", active=False), "root"))
    await people.change("default", ["amy"], lambda _: set_person(member("amy", "a"), "root"))
    assert (await vote(here, prompt, BEN)).status is ACCEPTED


async def test_three_people_can_agree_on_a_large_edit(here: Node) -> None:
    """People who join a proposal send the same text: it counts once."""
    _, prompt = await here.waiting(approved(3))
    text = "x" * 100_000
    for who in (AMY, BEN):
        await vote(here, prompt, who, EDIT, edits=(Edit("plan", text),))
    assert (await vote(here, prompt, CAT, EDIT, edits=(Edit("plan", text),))).status is ACCEPTED


async def test_a_worker_that_asks_and_answers_is_the_requester(here: Node) -> None:
    """domain.content.Exclusion.requester: `The job's creator and the principal that asks`."""
    bot = Principal("bot", frozenset({Role.WORKER, Role.CONSOLE}))
    job = await here.lease(await here.create(), await here.session(), bot)
    command = replace(
        here.ask_command(job, "a", question(exclusion=Exclusion(requester=True))), principal=bot
    )
    prompt = (await here.do(command)).prompt
    with pytest.raises(Excluded):
        await here.answer(prompt, principal=bot)


async def test_an_exclusion_of_another_person_keeps_the_default_of_the_namespace(
    migrated_db_url: str,
) -> None:
    from askback_server.domain.limits import Limits
    from tests.support.storage import node

    carl = Principal("carl", frozenset({Role.CONSOLE, Role.CLIENT}))
    async with node(migrated_db_url, limits=Limits(requester_excluded=frozenset({"default"}))) as here:
        job = await here.lease(await here.create(), await here.session())
        prompt = await here.ask(job, "a", question(exclusion=Exclusion(users=frozenset({"bob"}))))
        with pytest.raises(Excluded):
            await here.answer(prompt, principal=carl)


async def test_an_admin_that_has_no_vote_cannot_claim_the_prompt_of_others(here: Node) -> None:
    _, prompt = await here.waiting(approved(2, audience=Audience(frozenset({"amy", "ben"}))))
    with pytest.raises(PermissionDenied):
        await here.do(c.ClaimPrompt(principal=ADMIN, ref=PromptRef(prompt.prompt_id)))


async def test_a_carried_pair_respects_a_new_exclusion_in_any_order(here: Node) -> None:
    job, first = await here.waiting(question("First?"))
    second = await here.ask(job, "second", question("Second?"))
    await here.answer(first, principal=ANN)
    await here.answer(second, principal=ANN)
    await here.complete(job)
    again = await retried(here, job)
    rule = Exclusion(answerers_of=(first.key,))
    asked = await here.ask(again, "second", question("Second?", exclusion=rule))
    other = await here.ask(again, first.key, question("First?"))
    assert asked.is_open or other.is_open


async def test_an_override_works_after_too_many_answers(migrated_db_url: str) -> None:
    """One voter can use up `submissions_per_prompt`; then not even an override decides."""
    from askback_server.domain.limits import Limits
    from askback_server.domain.vote_commands import OverridePrompt
    from tests.support.storage import node

    limits = Limits(override_allowed=frozenset({"default"}), submissions_per_prompt=3)
    async with node(migrated_db_url, limits=limits) as here:
        _, prompt = await here.waiting(approved(2))
        for n in range(3):
            await vote(here, prompt, AMY, answer_id=f"{n}")
        result = await here.do(
            OverridePrompt(
                principal=ADMIN,
                ref=PromptRef(prompt.prompt_id),
                answer_id="o",
                revision=1,
                decision=ACCEPT,
                comment="now",
            )
        )
        assert result.status is ACCEPTED


async def test_who_is_excluded_by_name_is_not_told_that_it_asked(here: Node) -> None:
    _, prompt = await here.waiting(question(exclusion=Exclusion(users=frozenset({"bob"}))))
    with pytest.raises(Excluded) as caught:
        await here.answer(prompt, principal=BOB)
    assert "those who asked" not in str(caught.value)


async def test_a_refusal_by_users_does_not_speak_of_groups(here: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    with pytest.raises(InvalidField) as caught:
        await here.ask(job, "a", approved(3, audience=Audience(frozenset({"amy", "ben"}))))
    assert "groups" not in str(caught.value)


def test_the_check_of_many_groups_is_bounded() -> None:
    """One AskPrompt must not hold up the event loop: counted in calls, not in time."""
    import sys

    from askback_server.domain.approvals import Approval, GroupApproval
    from askback_server.domain.electorate import Electorate, GroupMembers, shortages

    everyone = frozenset(f"p{n:04}" for n in range(1000))
    members = {("default", f"g{n}"): GroupMembers(everyone, True) for n in range(48)}
    members |= {("default", name): GroupMembers(frozenset({"p0999"}), True) for name in ("x", "y")}
    groups = tuple(GroupApproval(name, 1) for _, name in members)
    content = question(approval=Approval(50, groups, 1))
    calls = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        shortages("default", content, Electorate(members))
    finally:
        sys.setprofile(None)
    assert calls < 500_000, calls


async def test_an_amendment_that_excludes_the_claimant_ends_the_claim(here: Node) -> None:
    job, prompt = await here.waiting(question())
    await here.do(c.ClaimPrompt(principal=AMY, ref=PromptRef(prompt.prompt_id)))
    rule = Exclusion(users=frozenset({"amy"}))
    after = await here.ask(job, prompt.key, question("Other?", exclusion=rule))
    assert (after.claimed_by, after.claimed_until) == ("", None)
    assert (await here.answer(after, principal=BEN)).status is ACCEPTED
    await check_job(here.database, job.job_id)


async def test_a_prompt_that_has_lost_its_approval_takes_no_answer(here: Node) -> None:
    """An older replica writes the content without what it does not know."""
    _, prompt = await here.waiting(approved(2))
    lost = content_to_json(replace(approved(2), approval=None))
    mine = tables.prompts.c.interaction_id == prompt.prompt_id
    await execute(here.database, sa.update(tables.prompts).where(mine).values(prompt_data=lost))
    here.hot.drop(prompt.job_id)
    with pytest.raises(IllegalState, match="rules of this prompt were lost"):
        await vote(here, prompt, AMY)
    [after] = await here.database.jobs.get_prompts([prompt.prompt_id])
    assert (after.submissions, after.is_open) == (0, True)


async def test_who_may_not_see_a_prompt_any_more_cannot_read_it_by_a_withdrawal(here: Node) -> None:
    _, prompt = await here.waiting(approved(2, audience=Audience(groups=frozenset({"a"}))))
    await vote(here, prompt, AMY)
    with pytest.raises(PromptNotFound):
        await withdraw(here, prompt, person("amy"), "amy-ACCEPT")
