"""Separation of duties: people that a prompt excludes cannot decide it, by whatever way they come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import Audience, EscalationStep, Exclusion
from askback_server.domain.errors import InvalidField, PromptNotFound
from askback_server.domain.events import EventType
from askback_server.domain.exclusions import Excluded
from askback_server.domain.jobs import Job
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerStatus, Prompt
from askback_server.domain.retries import Keep
from askback_server.domain.retry_rules import plan_retry, repeat_job
from askback_server.engine.presence import PresenceIndex
from askback_server.engine.view_texts import encode_view
from askback_server.ports.queries import PromptFilter
from tests.support.aggregates import ADMIN, ANN, BOB, CLIENT, HOUR, question
from tests.support.storage import Node, check_job, node

CARL = Principal("carl", frozenset({Role.CONSOLE, Role.CLIENT, Role.ADMIN}))
"""The creator of the jobs, who is an admin too."""
EVA = Principal("eva", frozenset({Role.CONSOLE}), groups=frozenset({"law"}))


async def refused(here: Node, prompt: Prompt, principal: Principal, error: type = Excluded) -> None:
    """Every write of a person on the prompt is refused, and changes nothing."""
    refs = PromptRef(prompt_id=prompt.prompt_id), PromptRef(job_id=prompt.job_id, key=prompt.key)
    for ref in refs:
        for command in (
            here.answer_command(prompt, f"by-{principal.subject}", principal=principal, ref=ref),
            c.ClaimPrompt(principal=principal, ref=ref),
        ):
            with pytest.raises(error):
                await here.do(command)
    [stored] = await here.database.jobs.get_prompts([prompt.prompt_id])
    assert (stored.submissions, stored.claimed_by, stored.is_open) == (0, "", True)


async def excluding(here: Node, **fields: Any) -> tuple[Job, Prompt]:
    """A held job with an open prompt that excludes people."""
    job = await here.lease(await here.create(), await here.session())
    return job, await here.ask(job, "release", question(exclusion=Exclusion(**fields)))


async def test_who_asked_cannot_answer_and_others_can(here: Node) -> None:
    job, prompt = await excluding(here, requester=True)
    assert prompt.content.exclusion == Exclusion(requester=True, users=frozenset({"carl", "wanda"}))
    await refused(here, prompt, CARL)
    assert (await here.answer(prompt)).status is AnswerStatus.ACCEPTED
    await check_job(here.database, job.job_id)


async def test_who_created_a_job_in_anothers_name_counts_as_asker(here: Node) -> None:
    created = await here.do(
        c.CreateJob(
            principal=ADMIN,
            namespace="",
            job_type="t",
            user_id="ann",
            prompt=question(exclusion=Exclusion(requester=True)),
        )
    )
    await refused(here, created.prompt, ADMIN)
    await refused(here, created.prompt, ANN)
    assert (await here.answer(created.prompt, principal=BOB)).status is AnswerStatus.ACCEPTED
    assert (await here.database.jobs.get_jobs([created.job.job_id]))[0].requesters == ("root",)


async def test_users_and_groups_are_excluded_whatever_their_role(here: Node) -> None:
    _, prompt = await excluding(here, users=frozenset({"bob", "carl"}), groups=frozenset({"law"}))
    for principal in (BOB, CARL, ANN, EVA):
        await refused(here, prompt, principal)
    assert (await here.answer(prompt, principal=ADMIN)).status is AnswerStatus.ACCEPTED


@pytest.mark.parametrize("order", ["answered before", "answered later"])
async def test_who_answered_another_prompt_of_the_job_cannot_answer(
    here: Node, there: Node, order: str
) -> None:
    job = await here.lease(await here.create(), await here.session())
    first = await here.ask(job, "plan", question("The plan?"))
    if order == "answered before":
        await here.answer(first, principal=ANN)
    second = await there.ask(job, "release", question(exclusion=Exclusion(answerers_of=("plan",))))
    if order == "answered later":
        await there.do(c.ClaimPrompt(principal=ANN, ref=PromptRef(prompt_id=second.prompt_id)))
        await here.answer(first, principal=ANN)
        events = await here.database.jobs.list_events(job.job_id, 0, 100)
        [event] = [e for e in events if e.type is EventType.PROMPT_EXCLUDED]
        assert event.data is not None
        assert (event.prompt_id, event.data["users"], event.data["answered"]) == (
            second.prompt_id,
            ["ann"],
            "plan",
        )
    for replica in (here, there):
        await refused(replica, second, ANN)
    assert (await here.answer(second, principal=BOB)).status is AnswerStatus.ACCEPTED
    await check_job(here.database, job.job_id)


async def test_a_default_of_a_deadline_excludes_no_one(here: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    await here.ask(job, "release", question(exclusion=Exclusion(answerers_of=("plan",))))
    first = await here.ask(job, "plan", question("The plan?"))
    await here.do(c.CancelPrompt(principal=CLIENT, ref=PromptRef(prompt_id=first.prompt_id)))
    events = await here.database.jobs.list_events(job.job_id, 0, 100)
    assert EventType.PROMPT_EXCLUDED not in {event.type for event in events}


async def test_a_hidden_prompt_does_not_exist_for_those_it_excludes(here: Node) -> None:
    _, prompt = await excluding(here, users=frozenset({"bob"}), groups=frozenset({"law"}), hide=True)
    _, shown = await excluding(here, users=frozenset({"bob"}))
    for principal, sees in ((BOB, False), (EVA, False), (ADMIN, True), (replace(BOB, subject="ben"), True)):
        listed = await here.database.jobs.list_prompts(
            PromptFilter("default", viewer=principal), 10, None, 1 << 20
        )
        ids = {each.prompt_id for each in listed.prompts}
        assert ids == ({prompt.prompt_id} if sees else set()) | {shown.prompt_id}
        counted, _ = await here.database.overview.waiting("default", principal, 100)
        assert sum(sum(group.by_age) for group in counted) == len(ids)
        assert prompt.is_for(principal) is sees
    await refused(here, prompt, BOB, PromptNotFound)
    await refused(here, shown, BOB)


async def test_an_excluded_person_attends_no_prompt(here: Node) -> None:
    index = PresenceIndex()
    index.settle()
    _, prompt = await excluding(here, users=frozenset({"bob"}))
    index.add(encode_view(PromptFilter("default", viewer=BOB)))
    assert not index.is_attended(prompt)
    index.add(encode_view(PromptFilter("default", viewer=ANN)))
    assert index.is_attended(prompt)


async def test_an_escalation_keeps_the_exclusion(here: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    steps = (EscalationStep(HOUR, Audience(groups=frozenset({"law"})), replace=True),)
    content = question(
        audience=Audience(frozenset({"bob"})),
        escalation=steps,
        exclusion=Exclusion(users=frozenset({"ann"})),
    )
    prompt = await here.ask(job, "release", content)
    later = prompt.content.route_to(Audience(groups=frozenset({"law"})), 1)
    assert later.exclusion == prompt.content.exclusion


async def test_asking_again_keeps_the_exclusion_and_an_amendment_sets_it(here: Node) -> None:
    job, prompt = await excluding(here, users=frozenset({"bob"}))
    again = await here.ask(job, "release", question())
    assert again.content.exclusion == prompt.content.exclusion
    amended = await here.ask(job, "release", question("Other?", exclusion=Exclusion(requester=True)))
    assert amended.content.exclusion == Exclusion(requester=True, users=frozenset({"carl", "wanda"}))
    assert (await here.answer(amended, principal=BOB)).status is AnswerStatus.ACCEPTED


async def test_an_exclusion_of_all_the_audience_is_refused(here: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    content = question(audience=Audience(frozenset({"bob"})), exclusion=Exclusion(users=frozenset({"bob"})))
    with pytest.raises(InvalidField, match="no person is left"):
        await here.ask(job, "release", content)


async def test_a_namespace_can_exclude_who_asks_by_default(migrated_db_url: str) -> None:
    async with node(migrated_db_url, limits=Limits(requester_excluded=frozenset({"default"}))) as here:
        job = await here.lease(await here.create(), await here.session())
        prompt = await here.ask(job, "a", question())
        await refused(here, prompt, CARL)
        own = await here.ask(job, "b", question(exclusion=Exclusion(users=frozenset({"bob"}))))
        await refused(here, own, CARL)  # the default is added to what the prompt says
        await refused(here, own, BOB)


@pytest.mark.parametrize("retried_by", [CLIENT, ADMIN])
async def test_a_retry_does_not_take_over_an_answer_that_it_excludes(
    here: Node, retried_by: Principal
) -> None:
    job, prompt = await excluding(here, requester=True)
    await here.answer(prompt, principal=ADMIN)
    await here.complete(job)
    [old] = await here.database.jobs.get_jobs([job.job_id])
    kept = await here.database.jobs.list_kept_answers(job.job_id)
    plan = replace(plan_retry(old, Keep.ALL), answers=tuple(kept))
    again = (await here.do(repeat_job(old, plan, retried_by, "r"))).job
    again = await here.lease(again, await here.session())
    asked = await here.ask(again, "release", prompt.content)
    # The admin that answered has now created the job: then it may not decide.
    assert asked.is_open is (retried_by is ADMIN)
    await check_job(here.database, again.job_id)
