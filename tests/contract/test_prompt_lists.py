"""Lists of prompts: filters, audiences, order, totals, pages without gaps or repeats, size limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.jobs import Job
from askback_server.domain.nudges import Nudges
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt, PromptState
from askback_server.ports.clock import uuid7
from askback_server.ports.queries import PromptFilter, PromptOrder
from askback_server.storage.database import Database
from tests.support.aggregates import ADMIN, ANN, BOB
from tests.support.lists import BIG, prompt_pages
from tests.support.rows import as_answered, as_closed, creation, new_job, new_prompt, now


async def test_an_id_suffix_finds_only_what_the_viewer_may_see(database: Database) -> None:
    job, elsewhere = new_job(), new_job(namespace="other")
    mine = new_prompt(job, PromptContent("confirm", "?", audience=Audience(frozenset({"ann"}))))
    closed_one = as_closed(new_prompt(job, PromptContent("confirm", "?")))
    await database.jobs.write([creation(job, mine, closed_one), creation(elsewhere, new_prompt(elsewhere))])
    every = PromptFilter("default", states=tuple(PromptState))
    for prompt in (mine, closed_one):
        by_id = replace(every, id_suffix=prompt.prompt_id[-6:])
        assert await prompt_pages(database, by_id, 10) == [[prompt.prompt_id]]
    hidden = replace(every, viewer=BOB, id_suffix=mine.prompt_id[-6:])
    assert await prompt_pages(database, hidden, 10) == [[]]
    by_job = replace(every, job_id_suffix=job.job_id[-6:])
    both = sorted([mine.prompt_id, closed_one.prompt_id])
    assert await prompt_pages(database, replace(by_job, viewer=ANN), 10) == [both]
    assert await prompt_pages(database, replace(by_job, viewer=BOB), 10) == [[closed_one.prompt_id]]
    other = replace(every, viewer=ANN, job_id_suffix=elsewhere.job_id[-6:])
    assert await prompt_pages(database, other, 10) == [[]]


async def test_filters_by_person_and_overdue_find_the_matching_prompts(database: Database) -> None:
    job, at = new_job(), now()
    later = at + timedelta(hours=1)
    named = new_prompt(job, PromptContent("confirm", "?", audience=Audience(frozenset({"ann", "x"}))))
    held = replace(new_prompt(job, PromptContent("confirm", "?")), claimed_by="ann", claimed_until=later)
    lapsed = replace(held, prompt_id=uuid7(), key="lapsed", claimed_until=at - timedelta(hours=1))
    others = replace(held, prompt_id=uuid7(), key="others", claimed_by="bob")
    stepped = replace(new_prompt(job, PromptContent("confirm", "?")), nudges=Nudges(steps=1, step_at=later))
    unstepped = replace(new_prompt(job, PromptContent("confirm", "?")), nudges=Nudges(step_at=later))
    over = replace(new_prompt(job, PromptContent("confirm", "?")), expires_at=at - timedelta(minutes=1))
    every = [named, held, lapsed, others, stepped, unstepped, over]
    await database.jobs.write([creation(job, *every)])

    async def found(**given: Any) -> set[str]:
        [ids] = await prompt_pages(database, PromptFilter("default", viewer=ADMIN, **given), 20)
        return set(ids)

    assert await found(person="ann") == {named.prompt_id, held.prompt_id}
    assert await found(person="x") == {named.prompt_id}
    assert await found(overdue=True) == {stepped.prompt_id, over.prompt_id}
    assert await found(person="bob", overdue=True) == set()


async def test_a_list_of_what_ends_soon_has_open_prompts_with_a_near_deadline(database: Database) -> None:
    job, other, at = new_job(), new_job(namespace="other"), now()
    minutes = (None, 1, 4, 5, 6, -1)
    prompts = [
        prompt_of(job, priority=n, expires_at=None if m is None else at + timedelta(minutes=m))
        for n, m in enumerate(minutes)
    ]
    closed = as_closed(prompt_of(job, expires_at=at + timedelta(minutes=1)), PromptState.EXPIRED)
    hidden = prompt_of(job, expires_at=at, audience=Audience(frozenset({"ann"})))
    await ask(database, job, [*prompts, closed, hidden])
    await ask(database, other, [prompt_of(other, expires_at=at)])
    soon = PromptFilter("default", viewer=BOB, expires_before=at + timedelta(minutes=5))
    expected = by_urgency([prompts[n] for n in (1, 2, 5)])
    for limit in (1, 2, 10):
        assert [i for page in await prompt_pages(database, soon, limit) for i in page] == expected
    assert await database.jobs.count_prompts(soon) == 3
    [seen_by_ann] = await prompt_pages(database, replace(soon, viewer=ANN), 10)
    assert hidden.prompt_id in seen_by_ann


async def test_a_list_by_answerer_has_their_answers_newest_first(database: Database) -> None:
    """Pages without gaps, whatever the priorities; closed prompts without an answer have no answerer; the
    viewer still sees only what is for them."""
    job = new_job()
    content = PromptContent("confirm", "?")
    hidden = replace(content, audience=Audience(frozenset({"ann"})))
    theirs = [
        as_answered(new_prompt(job, replace(content, priority=n % 3)), "ann", minute=n // 2) for n in range(9)
    ]
    secret = as_answered(new_prompt(job, hidden), "ann", minute=7)
    others = [as_answered(new_prompt(job, content), "bob", 1), as_answered(new_prompt(job, content), "", 1)]
    closed = as_closed(new_prompt(job, content))  # by ann, without an answer
    every = [*theirs, secret, *others, closed, new_prompt(job, content)]
    await database.jobs.write([creation(job, *every)])

    def order(prompt: Prompt) -> Any:
        assert prompt.resolution is not None
        return prompt.resolution.at, prompt.prompt_id

    newest = [p.prompt_id for p in sorted(theirs, key=order, reverse=True)]
    mine = PromptFilter("default", viewer=BOB, states=(), answered_by="ann", order=PromptOrder.CLOSE_TIME)
    for limit in (1, 2, 4, 9, 20):
        pages = await prompt_pages(database, mine, limit)
        assert [i for page in pages for i in page] == newest, limit
    assert await database.jobs.count_prompts(mine) == 9
    [found] = await prompt_pages(database, replace(mine, viewer=ANN), 20)
    assert found == [secret.prompt_id, *newest]
    for changes in ({"answered_by": "carl"}, {"namespace": "other"}, {"states": (PromptState.PENDING,)}):
        assert await prompt_pages(database, replace(mine, **changes), 20) == [[]], changes


def prompt_of(job: Job, **fields: Any) -> Prompt:
    own = {name: fields.pop(name) for name in ("expires_at", "state") if name in fields}
    prompt = new_prompt(job, PromptContent(fields.pop("kind", "confirm"), "?", **fields))
    state = own.pop("state", PromptState.PENDING)
    prompt = replace(prompt, **own)
    return prompt if state is PromptState.PENDING else as_closed(prompt, state)


async def ask(database: Database, job: Job, prompts: Sequence[Prompt]) -> None:
    assert not (await database.jobs.write([creation(job, *prompts)])).lost


def by_urgency(prompts: Sequence[Prompt]) -> list[str]:
    far = now() + timedelta(days=9999)
    ranked = sorted(prompts, key=lambda p: (-p.content.priority, p.expires_at or far, p.prompt_id))
    return [p.prompt_id for p in ranked]


async def test_each_filter_finds_the_matching_prompts(database: Database) -> None:
    jobs = [new_job(job_type="t0"), new_job(job_type="t1"), new_job(namespace="other")]
    prompts = [
        prompt_of(
            jobs[i % 2],
            kind=f"k{i % 3}",
            labels={"mod": str(i % 4)},
            priority=i % 5 - 2,
            state=list(PromptState)[i % 5],
            audience=Audience(groups=frozenset({f"g{i % 2}", "all"}) if i % 3 else frozenset()),
        )
        for i in range(60)
    ]
    foreign = prompt_of(jobs[2], labels={"mod": "1"})
    for job in jobs:
        await ask(database, job, [p for p in (*prompts, foreign) if p.job_id == job.job_id])
    pending = (PromptState.PENDING,)
    ended = (PromptState.ANSWERED, PromptState.EXPIRED)
    cases: list[tuple[dict[str, Any], Callable[[Prompt], bool]]] = [
        ({}, lambda p: True),
        ({"job_types": ("t1",)}, lambda p: p.job_type == "t1"),
        ({"job_id": jobs[0].job_id}, lambda p: p.job_id == jobs[0].job_id),
        ({"job_id": uuid7()}, lambda p: False),
        ({"kinds": ("k0", "k2")}, lambda p: p.content.kind != "k1"),
        ({"labels": {"mod": "2"}}, lambda p: p.content.labels["mod"] == "2"),
        ({"groups": ("g1", "none")}, lambda p: "g1" in p.content.audience.groups),
        ({"groups": ("none",)}, lambda p: False),
        ({"kinds": ("k0",), "job_types": ("t0",)}, lambda p: p.content.kind == "k0" and p.job_type == "t0"),
    ]
    for given, wanted in cases:
        for states in (pending, ended, tuple(PromptState)):
            filter = PromptFilter("default", states=states, **given)
            expected = by_urgency([p for p in prompts if wanted(p) and p.state in states])
            assert await prompt_pages(database, filter, 100) == [expected], (given, states)
            assert await database.jobs.count_prompts(filter) == len(expected)
            assert [p for p in prompts if filter.matches(p)] == [p for p in prompts if wanted(p)]


async def test_a_viewer_gets_the_prompts_of_its_audience_only(database: Database) -> None:
    """The condition in SQL agrees with the rule of the domain, which live views use."""
    job = new_job()
    audiences = [
        Audience(),
        Audience(users=frozenset({"ann"})),
        Audience(users=frozenset({"bob", "cid"})),
        Audience(groups=frozenset({"law"})),
        Audience(frozenset({"bob"}), frozenset({"law", "ops"})),
        Audience(users=frozenset({"law"})),
        Audience(groups=frozenset({"ann", 'o"p\\s'})),
    ]
    prompts = [prompt_of(job, audience=audience) for audience in audiences]
    await ask(database, job, prompts)
    console = frozenset({Role.CONSOLE})
    viewers = [
        ANN,
        BOB,
        ADMIN,
        Principal("dora", console),
        Principal("eve", console, groups=frozenset({"ops", "hr"})),
        Principal("fay", console, groups=frozenset({'o"p\\s'})),
        Principal("law", console),
    ]
    seen = []
    for viewer in viewers:
        filter = PromptFilter("default", viewer)
        expected = [p for p in prompts if p.is_for(viewer)]
        page = await database.jobs.list_prompts(filter, 100, None, BIG)
        assert [p.prompt_id for p in page.prompts] == by_urgency(expected), viewer
        assert await database.jobs.count_prompts(filter) == len(expected)
        assert [p for p in prompts if filter.matches(p)] == expected
        seen.append(len(expected))
    assert seen == [4, 3, 7, 1, 2, 2, 2]


async def test_prompts_are_ordered_by_priority_deadline_and_age(database: Database) -> None:
    job, at = new_job(), now()
    prompts = [
        prompt_of(job, priority=p, expires_at=at + timedelta(minutes=m) if m else None)
        for p in (0, 5, -5)
        for m in (None, 10, 1, 10, None)
    ]
    await ask(database, job, prompts)
    expected = by_urgency(prompts)
    for limit in (1, 2, 4, 14, 15, 16):
        pages = await prompt_pages(database, PromptFilter("default"), limit)
        assert [i for page in pages for i in page] == expected, limit
        assert all(len(page) == limit for page in pages[:-1])


async def test_pages_of_prompts_are_stable_while_prompts_are_added(database: Database) -> None:
    jobs = [new_job(), new_job()]
    prompts = [prompt_of(jobs[0], priority=i % 3) for i in range(20)]
    await ask(database, jobs[0], prompts)
    seen: list[str] = []
    after = None
    while True:
        page = await database.jobs.list_prompts(PromptFilter("default"), 6, after, BIG)
        seen += [p.prompt_id for p in page.prompts if p.job_id == jobs[0].job_id]
        after = page.next
        if after is None:
            break
        more = new_job()
        await ask(database, more, [prompt_of(more, priority=i) for i in range(3)])
    assert seen == by_urgency(prompts)


async def test_a_page_of_prompts_is_bounded_by_bytes_and_never_empty(database: Database) -> None:
    job = new_job()
    prompts = [prompt_of(job, body="界" * 3_000) for _ in range(5)]
    await ask(database, job, prompts)
    ids = by_urgency(prompts)
    # Each body has 3,000 characters of three bytes.
    assert await prompt_pages(database, PromptFilter("default"), 9, 20_500) == [ids[:2], ids[2:4], ids[4:]]
    assert await prompt_pages(database, PromptFilter("default"), 9, 1) == [[i] for i in ids]
    assert await prompt_pages(database, PromptFilter("default"), 9, BIG) == [ids]
    assert await database.jobs.count_prompts(PromptFilter("default")) == 5
