"""Presence over two replicas: a prompt is marked unattended while no user of its audience is connected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain.content import Audience
from askback_server.domain.events import EventType
from askback_server.domain.principals import Principal
from askback_server.engine import presence
from askback_server.engine.presence import PresenceTracker
from askback_server.engine.view_texts import encode_view
from askback_server.ports.queries import PromptFilter
from askback_server.storage import replica_tables
from tests.support.aggregates import ANN, BOB, question
from tests.support.rows import creation, new_job, new_prompt, now
from tests.support.storage import Node, check_job, execute
from tests.support.waiting import until

ALL = PromptFilter("default", states=(), unattended=True)
EVERYONE = Audience(frozenset({"ann", "bob"}), frozenset({"law"}))
LAW = question(audience=Audience(groups=frozenset({"law"})))


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mark prompts without delay, and exchange presence often."""
    monkeypatch.setattr(presence, "LINGER_SECONDS", 0.0)
    monkeypatch.setattr(presence, "INTERVAL_SECONDS", 0.02)


@asynccontextmanager
async def tracking(node: Node, *, settled: bool = True) -> AsyncIterator[PresenceTracker]:
    """Run the presence tracker of a replica."""
    made = PresenceTracker(node.database.presence, node.engine, node.presence)
    node.bus.follow_batches(made.on_commit)
    running = asyncio.create_task(made.run())
    try:
        if settled:
            await until(lambda: made._index.is_settled, "the tracker has settled")
        yield made
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def view(viewer: Principal = ANN) -> PromptFilter:
    return PromptFilter("default", viewer)


async def is_marked(node: Node, prompt_id: str) -> bool:
    [prompt] = await node.database.jobs.get_prompts([prompt_id])
    return prompt.unattended_since is not None


async def test_a_console_on_another_replica_attends_a_prompt(here: Node, there: Node) -> None:
    async with tracking(here) as at_a, tracking(there) as at_b:
        leave = at_b.enter(view())
        job, prompt = await here.waiting(LAW)
        # Marked if this replica did not know of the console yet; unmarked as soon as it does.
        await until(lambda: here.presence.is_attended(prompt), "the other replica's console is known")

        async def is_unmarked() -> bool:
            return not await is_marked(here, prompt.prompt_id)

        await until(is_unmarked, "the mark is removed")
        second = await here.ask(job, "b", LAW)
        assert second.unattended_since is None
        leave()
        await until(lambda: len(at_a._index) + len(at_b._index) == 0, "both replicas know that it left")
        # Until then each replica removed the marks of the other.
        for one in (prompt, second):
            await until(lambda one=one: is_marked(here, one.prompt_id), "the prompt is marked")
    _, events = await check_job(here.database, job.job_id)
    types = [e.type for e in events if e.prompt_id == second.prompt_id]
    assert types[:2] == [EventType.PROMPT_ASKED, EventType.PROMPT_UNATTENDED]


async def test_a_console_that_connects_while_a_prompt_is_written_attends_it(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search for unattended prompts, triggered by the connection, ends before the prompt is stored."""
    async with tracking(here) as at_a:
        job = await here.lease_new_job()
        own, gate, asked = here.database.jobs.write, asyncio.Event(), asyncio.Event()
        unattended, looked = here.database.presence.list_unattended, asyncio.Event()

        async def look(*args: Any) -> Any:
            found = await unattended(*args)
            if not found:
                looked.set()
            return found

        async def write(batch: Any) -> Any:
            asked.set()
            await gate.wait()
            return await own(batch)

        monkeypatch.setattr(here.database.jobs, "write", write)
        monkeypatch.setattr(here.database.presence, "list_unattended", look)
        asking = asyncio.create_task(here.ask(job, "b", LAW))
        await asked.wait()
        at_a.enter(view())
        await looked.wait()
        gate.set()
        prompt = await asking
        assert prompt.unattended_since is not None

        async def is_unmarked() -> bool:
            return not await is_marked(here, prompt.prompt_id)

        await until(is_unmarked, "the mark is removed")


async def test_only_users_of_the_audience_attend_a_prompt(here: Node) -> None:
    async with tracking(here) as at_a:
        at_a.enter(view(BOB))
        job, prompt = await here.waiting(LAW)
        assert prompt.unattended_since is not None
        assert (await here.ask(job, "b", question())).unattended_since is None
        at_a.enter(view(ANN))

        async def is_unmarked() -> bool:
            return not await is_marked(here, prompt.prompt_id)

        await until(is_unmarked, "the mark is removed")


async def test_the_consoles_of_a_dead_replica_no_longer_attend_prompts(here: Node, there: Node) -> None:
    """The replica's row expires, and the others check the prompts of its consoles."""
    async with tracking(here):
        async with tracking(there) as at_b:
            at_b.enter(view())
            _, prompt = await here.waiting(LAW)
            await until(lambda: here.presence.is_attended(prompt), "the other replica's console is known")
        mine = replica_tables.presence.c.replica_id == at_b._id
        past = await here.database.ping() - timedelta(seconds=1)
        await execute(here.database, sa.update(replica_tables.presence).where(mine).values(expires_at=past))
        await until(lambda: is_marked(here, prompt.prompt_id), "the prompt is marked")


async def test_a_replica_publishes_its_presence_again_when_its_row_is_deleted(
    here: Node, there: Node
) -> None:
    async with tracking(here) as at_a, tracking(there) as at_b:
        at_b.enter(view())
        await until(lambda: len(at_a._index) == 1, "known")
        await execute(here.database, sa.delete(replica_tables.presence))
        at_a._others.clear()
        at_a._index = presence.PresenceIndex()
        await until(lambda: len(at_a._index) == 1, "known again")


async def test_a_short_disconnection_does_not_mark_prompts(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "LINGER_SECONDS", 0.05)
    async with tracking(here) as at_a:
        leave = at_a.enter(view())
        job, prompt = await here.waiting(LAW)
        monkeypatch.setattr(presence, "LINGER_SECONDS", 30.0)
        leave()
        leave()  # leaving twice has no effect
        assert here.presence.is_attended(prompt)
        assert len(at_a._index) == 1
        _, events = await check_job(here.database, job.job_id)
        assert EventType.PROMPT_UNATTENDED not in [e.type for e in events]


async def test_a_new_replica_marks_no_prompts_until_consoles_had_time_to_connect(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "LINGER_SECONDS", 3600.0)
    async with tracking(here, settled=False) as at_a:
        _, prompt = await here.waiting(LAW)
        assert not at_a._index.is_settled
        assert prompt.unattended_since is None
        at_a._settle()  # what the timer does; how fast this test gets here depends on the machine
        await until(lambda: is_marked(here, prompt.prompt_id), "the prompt is marked")


async def test_unattended_prompts_are_read_in_pages(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "PAGE_SIZE", 7)
    async with tracking(here) as at_a:
        made = [await here.waiting(LAW if n % 2 else question()) for n in range(40)]
        ids = [prompt.prompt_id for _, prompt in made]
        listed = await here.database.presence.list_unattended(ALL, EVERYONE, "", 100)
        assert [p.prompt_id for p in listed] == sorted(ids)
        at_a.enter(view(BOB))

        async def only_those_for_ann_are_left() -> bool:
            found = await here.database.presence.list_unattended(ALL, EVERYONE, "", 100)
            return {p.prompt_id for p in found} == set(ids[1::2])

        await until(only_those_for_ann_are_left, "those for bob are attended")
        assert len(await here.database.presence.list_attended("default", 100)) == 20


@pytest.mark.parametrize("count", [20, 200])
async def test_a_console_that_may_answer_none_of_the_unattended_prompts_reads_none(
    here: Node, count: int
) -> None:
    """Whatever their number: a console that comes must not cost as much as all that wait."""
    here.presence.settle()
    job = new_job(open_prompts=count + 1)
    prompts = [new_prompt(job, LAW, unattended_since=now()) for _ in range(count)]
    named = replace(LAW, audience=Audience(frozenset({"bob"})), kind="deploy")
    mine = new_prompt(job, named, unattended_since=now())
    await here.database.jobs.write([creation(job, *prompts, mine)])
    tracker = PresenceTracker(here.database.presence, here.engine, here.presence)
    store: Any = here.database.presence
    own, read = store.list_unattended, []

    async def count_read(*args: Any) -> Any:
        read.append(await own(*args))
        return read[-1]

    store.list_unattended = count_read
    for kinds, may_answer in ((("preview",), []), (("deploy",), [mine.prompt_id]), ((), [])):
        read.clear()
        arriving = replace(view(BOB), kinds=kinds)
        tracker._index.add(encode_view(arriving))
        tracker._arrivals.add(arriving)
        await tracker.review()
        assert [prompt.prompt_id for page in read for prompt in page] == may_answer
        assert len(read) <= 2
    del store.list_unattended
