"""Prompts that nobody is there for, over two replicas: marked when asked or left, until somebody comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain.content import Audience
from askback_server.domain.events import EventType
from askback_server.domain.principals import Principal
from askback_server.engine import presence
from askback_server.engine.presence import PresenceTracker
from askback_server.ports.queries import PromptFilter
from askback_server.storage import tables
from tests.support.aggregates import ANN, BOB, question
from tests.support.storage import Node, check_job, execute, until

LAW = question(audience=Audience(groups=frozenset({"law"})))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """People are missed at once, and replicas hear of one another soon."""
    monkeypatch.setattr(presence, "LINGER", 0.0)
    monkeypatch.setattr(presence, "INTERVAL", 0.02)


@asynccontextmanager
async def tracking(node: Node, *, settled: bool = True) -> AsyncIterator[PresenceTracker]:
    """The presence tracker of a replica, running."""
    made = PresenceTracker(node.database.presence, node.engine, node.presence)
    node.bus.follow_batches(made.on_commit)
    running = asyncio.create_task(made.run())
    try:
        if settled:
            await until(lambda: made._index.is_settled, "people can be missed")
        yield made
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def view(viewer: Principal = ANN) -> PromptFilter:
    return PromptFilter("default", viewer)


async def marked(node: Node, prompt_id: str) -> bool:
    [prompt] = await node.database.jobs.get_prompts([prompt_id])
    return prompt.unattended_since is not None


async def test_somebody_at_another_replica_is_there(here: Node, there: Node) -> None:
    async with tracking(here) as at_a, tracking(there) as at_b:
        leave = at_b.enter(view())
        job, prompt = await here.waiting(LAW)
        # Asked before this replica knew: the mark goes as soon as it does.
        await until(lambda: here.presence.is_attended(prompt), "the other replica's console is known")

        async def unmarked() -> bool:
            return not await marked(here, prompt.prompt_id)

        await until(unmarked, "somebody is there")
        second = await here.ask(job, "b", LAW)
        assert second.unattended_since is None
        leave()
        await until(lambda: len(at_a._index) + len(at_b._index) == 0, "both replicas know that it left")
        # Until then each took the other's marks back.
        for one in (prompt, second):
            await until(lambda one=one: marked(here, one.prompt_id), "nobody is there any more")
    _, events = await check_job(here.database, job.job_id)
    types = [e.type for e in events if e.prompt_id == second.prompt_id]
    assert types[:2] == [EventType.PROMPT_ASKED, EventType.PROMPT_UNATTENDED]


async def test_who_comes_while_a_question_is_written_is_there(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look that somebody's coming causes is over before the prompt that it would find is stored."""
    async with tracking(here) as at_a:
        job = await here.held()
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

        async def unmarked() -> bool:
            return not await marked(here, prompt.prompt_id)

        await until(unmarked, "somebody is there")


async def test_only_those_who_are_asked_count(here: Node) -> None:
    async with tracking(here) as at_a:
        at_a.enter(view(BOB))
        job, prompt = await here.waiting(LAW)
        assert prompt.unattended_since is not None
        assert (await here.ask(job, "b", question())).unattended_since is None
        at_a.enter(view(ANN))

        async def unmarked() -> bool:
            return not await marked(here, prompt.prompt_id)

        await until(unmarked, "ann came")


async def test_a_replica_that_died_has_no_consoles(here: Node, there: Node) -> None:
    """Its row's time runs out, and the others look at the prompts of its people."""
    async with tracking(here):
        async with tracking(there) as at_b:
            at_b.enter(view())
            _, prompt = await here.waiting(LAW)
            await until(lambda: here.presence.is_attended(prompt), "the other replica's console is known")
        mine = tables.presence.c.replica_id == at_b._id
        past = await here.database.ping() - timedelta(seconds=1)
        await execute(here.database, sa.update(tables.presence).where(mine).values(expires_at=past))
        await until(lambda: marked(here, prompt.prompt_id), "nobody is there any more")


async def test_a_replica_whose_row_is_gone_says_it_again(here: Node, there: Node) -> None:
    async with tracking(here) as at_a, tracking(there) as at_b:
        at_b.enter(view())
        await until(lambda: len(at_a._index) == 1, "known")
        await execute(here.database, sa.delete(tables.presence))
        at_a._others.clear()
        at_a._index = presence.PresenceIndex()
        await until(lambda: len(at_a._index) == 1, "known again")


async def test_who_reconnects_is_not_missed(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "LINGER", 0.05)
    async with tracking(here) as at_a:
        leave = at_a.enter(view())
        job, prompt = await here.waiting(LAW)
        monkeypatch.setattr(presence, "LINGER", 30.0)
        leave()
        leave()  # a stream ends once
        assert here.presence.is_attended(prompt)
        assert len(at_a._index) == 1
        _, events = await check_job(here.database, job.job_id)
        assert EventType.PROMPT_UNATTENDED not in [e.type for e in events]


async def test_a_replica_that_has_just_started_waits_for_its_consoles(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "LINGER", 0.5)
    async with tracking(here, settled=False) as at_a:
        _, prompt = await here.waiting(LAW)
        assert not at_a._index.is_settled
        assert prompt.unattended_since is None
        await until(lambda: marked(here, prompt.prompt_id), "nobody came")


async def test_many_prompts_are_looked_at_in_pages(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "PAGE", 7)
    async with tracking(here) as at_a:
        made = [await here.waiting(LAW if n % 2 else question()) for n in range(40)]
        ids = [prompt.prompt_id for _, prompt in made]
        listed = await here.database.presence.list_unattended("default", "", 100)
        assert [p.prompt_id for p in listed] == sorted(ids)
        at_a.enter(view(BOB))

        async def left() -> bool:
            found = await here.database.presence.list_unattended("default", "", 100)
            return {p.prompt_id for p in found} == set(ids[1::2])

        await until(left, "those for bob are attended")
        assert len(await here.database.presence.list_attended("default", 100)) == 20
