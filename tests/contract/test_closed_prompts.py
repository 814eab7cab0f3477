"""The list of closed prompts, the latest end first: its order, its pages, and what a page costs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt, PromptState, Resolution
from askback_server.ports.clock import uuid7
from askback_server.ports.queries import PromptFilter, PromptOrder
from askback_server.storage import prompt_lists
from askback_server.storage.database import Database
from tests.support.aggregates import ADMIN, ANN, BOB
from tests.support.lists import BIG, prompt_pages
from tests.support.plans import cost_of, plan_of, statements_of
from tests.support.rows import as_closed, creation, new_job, new_prompt, now
from tests.support.storage import execute

CLOSED = PromptFilter("default", states=(), order=PromptOrder.CLOSE_TIME)
ENDS = [state for state in PromptState if state is not PromptState.PENDING]
FOR_ANN = Audience(frozenset({"ann"}))


def closed(job: Job, end: datetime, state: PromptState = PromptState.EXPIRED, **content: Any) -> Prompt:
    """A prompt of the job that ended at this time."""
    prompt = as_closed(new_prompt(job, PromptContent("confirm", "?", **content)), state)
    return replace(prompt, resolution=Resolution(state, "system", end, "the deadline passed"))


async def store(database: Database, job: Job, prompts: Sequence[Prompt]) -> None:
    assert not (await database.jobs.write([creation(job, *prompts)])).lost


def latest_first(prompts: Sequence[Prompt]) -> list[str]:
    def end(prompt: Prompt) -> tuple[datetime, str]:
        assert prompt.resolution is not None
        return prompt.resolution.at, prompt.prompt_id

    return [p.prompt_id for p in sorted(prompts, key=end, reverse=True)]


async def flat(database: Database, filter: PromptFilter, limit: int) -> list[str]:
    return [i for page in await prompt_pages(database, filter, limit) for i in page]


async def test_closed_prompts_are_listed_by_their_end_whatever_ended_them(database: Database) -> None:
    """Pages of every size, with several ends at one time; each viewer gets its audience, each filter its own;
    open prompts and other namespaces are never in the list."""
    job, other, at = new_job(), new_job(namespace="other"), now()
    every = [
        closed(
            job,
            at - timedelta(minutes=(7 * n) % 10),
            ENDS[n % 4],
            priority=n % 3,
            labels={"mod": str(n % 2)},
            audience=FOR_ANN if n % 3 == 0 else Audience(),
        )
        for n in range(24)
    ]
    await store(database, job, [*every, new_prompt(job)])
    await store(database, other, [closed(other, at)])
    for limit in (1, 2, 5, 24, 100):
        assert await flat(database, replace(CLOSED, viewer=ADMIN), limit) == latest_first(every), limit
    for viewer in (ANN, BOB):
        seen = [p for p in every if p.is_for(viewer)]
        assert await flat(database, replace(CLOSED, viewer=viewer), 5) == latest_first(seen)
    expired = replace(CLOSED, states=(PromptState.EXPIRED, PromptState.CANCELLED), labels={"mod": "1"})
    wanted = [p for p in every if p.state in expired.states and p.content.labels["mod"] == "1"]
    assert wanted
    assert await flat(database, expired, 2) == latest_first(wanted)
    of_job = replace(CLOSED, job_id=other.job_id, namespace="other")
    assert len(await flat(database, of_job, 5)) == await database.jobs.count_prompts(of_job) == 1


async def test_pages_of_closed_prompts_are_stable_while_prompts_close(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while a page looks at a part of them: no prompt is repeated or left out, and those that close
    later, at whatever clock, are no reason to read a page again."""
    monkeypatch.setattr(prompt_lists, "SEARCHED", 4)
    job, at = new_job(), now()
    every = [
        closed(job, at - timedelta(seconds=n // 2), labels={"mod": str(n % 3)}, priority=n % 5)
        for n in range(30)
    ]
    await store(database, job, every)
    for labels in ({}, {"mod": "1"}):
        filter = replace(CLOSED, viewer=BOB, labels=labels)
        seen: list[str] = []
        after, n = None, 0
        while True:
            page = await database.jobs.list_prompts(filter, 3, after, BIG)
            seen += [p.prompt_id for p in page.prompts if p.job_id == job.job_id]
            after = page.next
            if after is None:
                break
            n += 1
            more = new_job()
            await store(database, more, [closed(more, at + timedelta(seconds=n), labels={"mod": "1"})])
        assert seen == latest_first([p for p in every if labels.items() <= p.content.labels.items()])


async def test_a_page_looks_at_a_bounded_number_of_closed_prompts(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer for whom there is nothing gets empty pages that lead to the end; a list that names a job needs
    none."""
    monkeypatch.setattr(prompt_lists, "SEARCHED", 5)
    job, own, at = new_job(), new_job(), now()
    hidden = [closed(job, at - timedelta(seconds=n), audience=FOR_ANN) for n in range(12)]
    oldest = closed(own, at - timedelta(hours=1))
    await store(database, job, hidden)
    await store(database, own, [oldest])
    theirs = replace(CLOSED, viewer=BOB)
    assert await prompt_pages(database, theirs, 10) == [[], [], [oldest.prompt_id]]
    of_job = replace(theirs, job_id=own.job_id)
    assert await prompt_pages(database, of_job, 10) == [[oldest.prompt_id]]
    by_id = replace(theirs, id_suffix=oldest.prompt_id[-6:])
    assert await prompt_pages(database, by_id, 10) == [[oldest.prompt_id]]


@pytest.mark.parametrize("after", [None, ("2026-01-01T00:00:00+00:00", uuid7())], ids=["first", "next"])
@pytest.mark.parametrize("labels", [{}, {"team": "a"}], ids=["all", "narrow"])
async def test_a_page_of_closed_prompts_is_a_walk_of_their_index(
    database: Database, after: Any, labels: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its place to its end, for the search and for the page: no scan, no sort."""
    monkeypatch.setattr(prompt_lists, "SEARCHED", 3)
    job = new_job()
    long_ago = datetime.fromisoformat("2025-01-01T00:00:00+00:00")
    await store(database, job, [closed(job, long_ago, labels={"team": "b"}) for _ in range(5)])
    filter = replace(CLOSED, viewer=BOB, labels=labels, states=(PromptState.EXPIRED,))
    search, sizes, *_ = await statements_of(database.jobs.list_prompts(filter, 50, after, BIG))
    for statement in (search, sizes):
        plan = await plan_of(database, statement)
        assert "ix_hitl_interactions_closed" in plan, plan
        assert not re.search("SCAN h|Seq Scan|Sort|TEMP B-TREE", plan), plan
    to_end = r"Index Cond.*\(ROW\(responded_at, interaction_id\) >=|AND \(responded_at,interaction_id\)>"
    if database._dialect.name == "postgresql" or after is None:
        assert re.search(to_end, plan), plan
    if after is not None:
        plan = await plan_of(database, search)
        from_cursor = (
            r"Index Cond.*\(ROW\(responded_at, interaction_id\) <|AND \(responded_at,interaction_id\)<"
        )
        assert re.search(from_cursor, plan), plan


async def test_the_prompts_of_a_job_are_found_by_the_job(fresh_db_url: str) -> None:
    """In both orders: not by walking the list of the namespace in its order until all of them are found."""
    database = await Database.open(fresh_db_url)
    try:
        jobs, at = [new_job() for _ in range(200)], now()
        for job in jobs:
            ended = [closed(job, at - timedelta(seconds=n)) for n in range(5)]
            await store(database, job, [*ended, *(new_prompt(job) for _ in range(5))])
        if database._dialect.name == "postgresql":
            await execute(database, "ANALYZE hitl_interactions")  # as its server does by itself
        plans = []
        for order, states in ((PromptOrder.CLOSE_TIME, ()), (PromptOrder.URGENCY, (PromptState.PENDING,))):
            filter = replace(CLOSED, viewer=BOB, job_id=jobs[3].job_id, order=order, states=states)
            sizes, _ = await statements_of(database.jobs.list_prompts(filter, 20, None, BIG))
            plans.append(await plan_of(database, sizes))
    finally:
        await database.close()
    by_job = r"(uq_hitl_interactions_key|sqlite_autoindex_hitl_interactions_2|ix_hitl_interactions_job)"
    for plan in plans:
        assert re.search(by_job + r" (\(job_id=\?|.*\n *Index Cond: \(job_id = )", plan), plan


@pytest.mark.parametrize("audience", [Audience(), FOR_ANN], ids=["visible", "hidden"])
async def test_the_cost_of_a_page_does_not_grow_with_the_history(
    database: Database, audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in rows that PostgreSQL reads, and in steps of SQLite's program; for the first page and for the
    last, whether the viewer may see each prompt or none."""
    monkeypatch.setattr(prompt_lists, "SEARCHED", 100)
    filter, at, costs = replace(CLOSED, viewer=BOB), now(), []
    for size in (200, 1_800):
        job = new_job()
        await store(
            database, job, [closed(job, at - timedelta(seconds=n), audience=audience) for n in range(size)]
        )
        after, each = None, []
        while True:
            call = database.jobs.list_prompts(filter, 20, after, BIG)
            search, sizes, *_ = await statements_of(call)
            each.append(await cost_of(database, search) + await cost_of(database, sizes))
            after = (await database.jobs.list_prompts(filter, 20, after, BIG)).next
            if after is None or len(each) == 30:
                break
        costs.append(max(each))
    assert costs[1] <= 1.5 * costs[0], costs
