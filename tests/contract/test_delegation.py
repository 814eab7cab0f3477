"""Delegations and reroutings on both databases: races, lists, the directory, and the audit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import routing_commands as r
from askback_server.domain.approvals import Approval
from askback_server.domain.commands import PromptRef, RunDue
from askback_server.domain.content import Audience, EscalationStep, Exclusion
from askback_server.domain.delegation_rules import DelegationRefused
from askback_server.domain.delegations import DelegationMode
from askback_server.domain.errors import AskbackError, PromptClosed, PromptNotFound
from askback_server.domain.events import EventType
from askback_server.domain.people import PersonSetting, set_person
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerStatus, Prompt
from askback_server.engine.presence import PresenceIndex
from askback_server.engine.view_texts import encode_view
from askback_server.ports.queries import PromptFilter
from askback_server.storage import tables
from tests.support.aggregates import ADMIN, CLIENT, question
from tests.support.storage import Node, check_job, execute, faults_of, fetch
from tests.support.waiting import until

TRANSFER, ADD = DelegationMode.TRANSFER, DelegationMode.ADD


def person(name: str, *groups: str) -> Principal:
    return Principal(name, frozenset({Role.CONSOLE}), groups=frozenset(groups))


AMY, BEN, CAT, DAN = person("amy", "a"), person("ben", "a", "b"), person("cat", "b"), person("dan")
EVERYONE = (AMY, BEN, CAT, DAN, ADMIN)


async def know(here: Node, *people: Principal) -> None:
    """Add people to the directory, with their groups."""
    for each in people:
        setting = PersonSetting("default", each.subject, groups=each.groups, active=True)
        await here.database.people.change(
            "default", [each.subject], lambda _, s=setting: set_person(s, "root")
        )


async def give(here: Node, prompt: Prompt, who: Principal, user: str = "", **fields: Any) -> Prompt:
    fields = {"mode": TRANSFER, "user": user, **fields}
    return await here.do(r.DelegatePrompt(principal=who, ref=PromptRef(prompt.prompt_id), **fields))


async def give_back(here: Node, prompt: Prompt, who: Principal, **fields: Any) -> Prompt:
    return await here.do(r.ReturnPrompt(principal=who, ref=PromptRef(prompt.prompt_id), **fields))


async def seen_by(here: Node, prompt: Prompt) -> list[str]:
    """Who finds the prompt in its list; the same people may see its image."""
    found = []
    for each in EVERYONE:
        filter = PromptFilter("default", viewer=each, states=(prompt.state,))
        listed = await here.database.jobs.list_prompts(filter, 10, None, 1 << 20)
        counted, _ = await here.database.overview.waiting("default", each, 100)
        is_listed = prompt.prompt_id in {p.prompt_id for p in listed.prompts}
        assert is_listed == prompt.is_for(each)
        assert (sum(sum(group.by_age) for group in counted) > 0) == (is_listed and prompt.is_open)
        if is_listed:
            found.append(each.subject)
    return found


async def test_lists_and_counts_follow_a_delegation(here: Node) -> None:
    await know(here, BEN, CAT, DAN)
    job, prompt = await here.waiting(question(audience=Audience(frozenset({"amy"}))))
    assert await seen_by(here, prompt) == ["amy", "root"]
    prompt = await give(here, prompt, AMY, "dan")
    assert await seen_by(here, prompt) == ["dan", "root"]
    prompt = await give(here, prompt, DAN, group="b", mode=ADD)
    assert await seen_by(here, prompt) == ["ben", "cat", "dan", "root"]
    mine = PromptFilter("default", viewer=DAN, person="dan")
    assert len((await here.database.jobs.list_prompts(mine, 10, None, 1 << 20)).prompts) == 1
    assert (await here.answer(prompt, principal=CAT)).status is AnswerStatus.ACCEPTED
    [closed] = await here.database.jobs.get_prompts([prompt.prompt_id])
    assert await seen_by(here, closed) == ["ben", "cat", "dan", "root"]
    _, events = await check_job(here.database, job.job_id)
    assert [e.data["on_behalf_of"] for e in events if e.type is EventType.PROMPT_ANSWERED] == ["amy"]


@pytest.mark.parametrize("audience", [Audience(), Audience(groups=frozenset({"a"}))])
async def test_who_gave_its_right_away_does_not_see_a_prompt_for_all(here: Node, audience: Audience) -> None:
    await know(here, DAN)
    _, prompt = await here.waiting(question(audience=audience))
    others = [each.subject for each in EVERYONE if each is not AMY and prompt.is_for(each)]
    prompt = await give(here, prompt, AMY, "dan")
    assert await seen_by(here, prompt) == [*dict.fromkeys([*others[:-1], "dan"]), "root"]
    prompt = await give_back(here, prompt, DAN)
    assert "amy" in await seen_by(here, prompt)


async def test_a_delegate_attends_a_prompt_and_who_gave_it_away_does_not(here: Node) -> None:
    await know(here, BEN)
    _, prompt = await here.waiting(question(audience=Audience(frozenset({"amy"}))))
    prompt = await give(here, prompt, AMY, "ben")
    for who, attends in ((AMY, False), (BEN, True)):
        index = PresenceIndex()
        index.settle()
        index.add(encode_view(PromptFilter("default", viewer=who)))
        assert index.is_attended(prompt) is attends


@pytest.mark.parametrize("case", range(6))
async def test_a_delegation_races_an_answer_and_one_wins(here: Node, there: Node, case: int) -> None:
    await know(here, BEN)
    job, prompt = await here.waiting(question(audience=Audience(frozenset({"amy"}))))
    first, second = (here, there) if case % 2 else (there, here)
    given, answered = await asyncio.gather(
        give(first, prompt, AMY, "ben"), second.answer(prompt, principal=AMY), return_exceptions=True
    )
    if isinstance(given, AskbackError):
        assert isinstance(given, PromptClosed)
        assert not isinstance(answered, BaseException)
        assert answered.status is AnswerStatus.ACCEPTED
    else:
        assert isinstance(answered, PromptNotFound)
        [stored] = await here.database.jobs.get_prompts([prompt.prompt_id])
        assert [each.subject for each in (AMY, BEN) if stored.is_for(each)] == ["ben"]
    await check_job(here.database, job.job_id)


async def test_the_directory_says_who_exists_and_is_there(here: Node) -> None:
    await know(here, BEN, CAT)
    [gone] = await here.database.people.change(
        "default", ["cat"], lambda _: set_person(PersonSetting("default", "cat", active=False), "root")
    )
    assert gone is not None
    _, prompt = await here.waiting(question(audience=Audience(frozenset({"amy"}))))
    for target in ({"user": "cat"}, {"user": "zoe"}, {"group": "none"}):
        with pytest.raises(DelegationRefused) as refused:
            await give(here, prompt, AMY, **target)
        assert refused.value.metadata["because"] == "UNKNOWN"
    exclusion = Exclusion(groups=frozenset({"b"}))
    other = await here.ask(
        await here.lease_new_job(), "x", question(audience=prompt.content.audience, exclusion=exclusion)
    )
    with pytest.raises(DelegationRefused) as refused:
        await give(here, other, AMY, "ben")
    assert refused.value.metadata["because"] == "EXCLUDED"
    assert (await give(here, prompt, AMY, group="b")).is_for(BEN)


async def test_a_vote_in_the_place_of_a_person_counts_once_at_all_replicas(here: Node, there: Node) -> None:
    await know(here, AMY, BEN, CAT, DAN)
    audience = Audience(frozenset({"amy", "ben"}))
    job, prompt = await here.waiting(question(audience=audience, approval=Approval(2)))
    await give(here, prompt, AMY, "dan", mode=ADD)
    results = await asyncio.gather(
        here.answer(prompt, "amy", principal=AMY),
        there.answer(prompt, "dan", principal=DAN),
        return_exceptions=True,
    )
    assert not isinstance(results[0], BaseException)
    assert results[0].status is AnswerStatus.RECORDED
    [stored] = await here.database.jobs.get_prompts([prompt.prompt_id])
    assert stored.votes is not None
    assert [vote.slot for vote in stored.votes.live] == ["amy"]
    assert (await there.answer(prompt, "ben", principal=BEN)).status is AnswerStatus.ACCEPTED
    await check_job(here.database, job.job_id)


async def rerouted(here: Node) -> tuple[str, Prompt]:
    """A job of which the prompt went through everything that delegates and reroutes."""
    await know(here, AMY, BEN, CAT, DAN)
    three = Audience(frozenset({"amy", "ben", "cat"}))
    step = EscalationStep(timedelta(hours=1), Audience(frozenset({"dan"})))
    job, prompt = await here.waiting(question(audience=three, approval=Approval(2), escalation=(step,)))
    await give(here, prompt, AMY, "dan", comment="please")
    await here.answer(prompt, "d", principal=DAN)
    await give_back(here, prompt, AMY, user="dan")
    await give(here, prompt, AMY, group="b", mode=ADD)
    ref = PromptRef(prompt.prompt_id)
    await here.do(
        r.ReroutePrompt(
            principal=CLIENT,
            ref=ref,
            audience=Audience(frozenset({"amy", "ben"})),
            priority=3,
            timeout=timedelta(hours=2),
            escalation=(step,),
            reason="cat is busy",
        )
    )
    await give(here, prompt, AMY, "dan")
    await here.answer(prompt, "d2", principal=DAN)
    return job.job_id, (await here.answer(prompt, "b", principal=BEN)).prompt


async def test_everything_is_recorded_and_verified(here: Node) -> None:
    job_id, prompt = await rerouted(here)
    aggregate, events = await check_job(here.database, job_id)
    [stored] = aggregate.prompts.values()
    assert stored == replace(prompt, version=stored.version)
    types = [event.type for event in events if event.prompt_id]
    assert types.count(EventType.PROMPT_DELEGATED) == 3
    assert types.count(EventType.DELEGATION_ENDED) == 1
    assert types.count(EventType.PROMPT_REROUTED) == 1


FORGED: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "the holder of a vote": (
        "PROMPT_VOTED",
        lambda data: data.update(on_behalf_of="cat"),
        "had no right of cat",
    ),
    "a delegation": ("PROMPT_DELEGATED", lambda data: data.update(user="eve"), "had no right of amy"),
    "an end": ("DELEGATION_ENDED", lambda data: data.update(numbers=[]), "not those that were recorded"),
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_forged_delegation_is_found(here: Node, what: str) -> None:
    """The hash of the event is found too; here it is about what the events say of each other."""
    job_id, _ = await rerouted(here)
    type, edit, problem = FORGED[what]
    mine = tables.events.c.job_id == job_id, tables.events.c.type == type
    rows = await fetch(here.database, sa.select(tables.events).where(*mine).order_by(tables.events.c.seq))
    data = json.loads(rows[-1]["data"])
    edit(data)
    this = sa.update(tables.events).where(*mine, tables.events.c.seq == rows[-1]["seq"])
    await execute(here.database, this.values(data=json.dumps(data)))
    assert any(problem in fault for fault in await faults_of(here.database, job_id))


async def test_a_deadline_that_was_moved_is_kept_by_timers(here: Node, there: Node) -> None:
    job, prompt = await here.waiting(question(timeout=timedelta(hours=1)))
    ref = PromptRef(prompt.prompt_id)
    moved = await there.do(r.ReroutePrompt(principal=CLIENT, ref=ref, timeout=timedelta(seconds=0.1)))
    assert moved.expires_at < prompt.expires_at

    async def is_over() -> bool:
        await here.do(RunDue(job_id=job.job_id))
        return not (await here.database.jobs.get_prompts([prompt.prompt_id]))[0].is_open

    await until(is_over, "the new deadline passes")
    [stored] = await here.database.jobs.get_prompts([prompt.prompt_id])
    assert stored.resolution is not None
    assert stored.resolution.at >= moved.expires_at
    await check_job(here.database, job.job_id)
