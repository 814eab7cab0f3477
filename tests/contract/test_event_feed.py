"""The feed follows the log of all jobs without losing an event."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import asyncpg
import sqlalchemy as sa

from askback_server.domain.events import EventType
from askback_server.feed.tokens import ResumeTokens, digest_view
from askback_server.ports.clock import uuid7
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.ports.storage import Changed, Position
from askback_server.sessions.admission import Admission
from askback_server.sessions.frames import CaughtUp, Closed
from askback_server.sessions.images import Images
from askback_server.sessions.jobs_follower import JobsFollower
from askback_server.sessions.memory_budget import MemoryBudget
from askback_server.sessions.prompt_follower import PromptFollower
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.watch import Watch
from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.support.aggregates import ANN
from tests.support.rows import creation, event, new_job, new_prompt, step
from tests.support.storage import fetch, node


def test_positions_are_ordered_by_transaction_then_id() -> None:
    ordered = [Position(), Position(0, 7), Position(1, 0), Position(1, 5), Position(2, 1)]
    assert all(low < high for low, high in pairwise(ordered))
    assert Position(2, 1) > Position(1, 10**18)


async def test_the_feed_s_epoch_identifies_the_database(database: Database, database_kind: str) -> None:
    assert await database.feed.epoch() == await database.feed.epoch()
    assert len(await database.feed.epoch()) == 16
    assert len(await database.secret()) == 32


async def test_an_empty_log_has_no_changes_and_the_first_position(database: Database) -> None:
    assert await database.feed.head() == await database.feed.tail() == Position()
    assert await database.feed.after(Position(), 10) == ([], Position())


async def test_after_returns_changes_grouped_by_job(database: Database) -> None:
    one, two = new_job(), new_job(namespace="other")
    first = creation(one)
    prompts = [new_prompt(one), new_prompt(one)]
    await database.jobs.write([first, creation(two)])
    start = await database.feed.head()
    write = step(one)
    for prompt in prompts:
        write.new_prompts[prompt.prompt_id] = prompt
    write.events += [
        event(one, EventType.PROMPT_ASKED, seq=3 + i, prompt_id=p.prompt_id) for i, p in enumerate(prompts)
    ]
    await database.jobs.write([write])
    await database.jobs.write([step(two)])
    changed, reached = await database.feed.after(start, 100)
    assert changed == [
        Changed(one.job_id, 1, 4, frozenset(p.prompt_id for p in prompts), "default"),
        Changed(two.job_id, 1, 2, frozenset(), "other"),
    ]
    assert reached == await database.feed.head()
    assert await database.feed.after(reached, 100) == ([], reached)


async def test_after_returns_all_events_with_any_page_size(database: Database) -> None:
    jobs = [new_job() for _ in range(7)]
    for job in jobs:
        await database.jobs.write([creation(job)])
    await database.jobs.write([step(job) for job in jobs])
    for limit in (1, 3, 13, 14, 15):
        position, seen = Position(), []
        while True:
            changed, reached = await database.feed.after(position, limit)
            if reached == position:
                break
            assert reached > position
            position = reached
            seen += [(c.job_id, c.seq) for c in changed]
        assert position == await database.feed.head()
        assert {s for s in seen if s[1] == 2} == {(j.job_id, 2) for j in jobs}
        assert {s[0] for s in seen} == {j.job_id for j in jobs}


INSERT = (
    "INSERT INTO job_events (at, job_id, seq, type, actor, state, namespace, command_id) "
    "VALUES (clock_timestamp(), $1, 1, 'JOB_UPDATED', 'a', 'PENDING', 'default', $2)"
)


async def test_no_event_is_lost_when_transactions_commit_out_of_order(pg_url: str) -> None:
    """Ids are assigned before the commit, so a late commit adds events below the position already read."""
    database = await Database.open(pg_url)
    writers = [await asyncpg.connect(pg_url.replace("+asyncpg", "")) for _ in range(16)]
    written: list[str] = []
    seen: list[str] = []
    done = asyncio.Event()
    rng = random.Random(7)

    async def write(connection: asyncpg.Connection) -> None:
        for _ in range(20):
            transaction = connection.transaction()
            await transaction.start()
            for _ in range(rng.randrange(1, 4)):
                job_id = uuid7()
                await connection.execute(INSERT, job_id, uuid7())
                written.append(job_id)
                # The delay is part of the test: other writers get later ids and commit first.
                await asyncio.sleep(rng.random() / 200)
            await transaction.commit()

    async def read() -> None:
        position, last = Position(), False
        while True:
            last = done.is_set()
            changed, reached = await database.feed.after(position, 50)
            seen.extend(c.job_id for c in changed)
            assert reached >= position
            if reached == position:
                if last:
                    return
                await asyncio.sleep(0)
            position = reached

    try:
        reader = asyncio.create_task(read())
        await asyncio.gather(*(write(connection) for connection in writers))
        done.set()
        await reader
        assert sorted(seen) == sorted(written), f"{len(set(written) - set(seen))} of {len(written)} were lost"
        # Check that the case occurred: ids and commits are in different orders.
        order = (tables.events.c.xid, tables.events.c.id)
        rows = await fetch(database, sa.select(tables.events.c.id).order_by(*order))
        ids = [row["id"] for row in rows]
        assert ids != sorted(ids)
    finally:
        for connection in writers:
            await connection.close()
        await database.close()


async def test_the_head_never_passes_a_running_transaction(pg_url: str) -> None:
    database = await Database.open(pg_url)
    slow = await asyncpg.connect(pg_url.replace("+asyncpg", ""))
    try:
        await database.jobs.write([creation(new_job())])
        before = await database.feed.head()
        late = uuid7()
        async with slow.transaction():
            await slow.execute(INSERT, late, uuid7())
            fast = new_job()
            await database.jobs.write([creation(fast)])
            assert await database.feed.head() == before
            assert await database.feed.after(before, 10) == ([], before)
        changed, reached = await database.feed.after(before, 10)
        assert [c.job_id for c in changed] == [late, fast.job_id]
        assert await database.feed.head() == reached
    finally:
        await slow.close()
        await database.close()


async def test_a_resume_while_an_older_transaction_holds_the_feed_back_misses_nothing(pg_url: str) -> None:
    """Events committed meanwhile were published before the console resumed, and the feed does not repeat
    them."""
    async with node(pg_url) as here:
        job, prompt = await here.waiting()
        await here.catch_up()
        prompts, jobs = PromptFilter("default", viewer=ANN), JobFilter("default")
        tokens = ResumeTokens(b"key", here.feed.epoch)
        followed = (here.feed, here.database.feed, here.database.jobs, tokens)
        account, admission = MemoryBudget(10**9, 10**9).account("ann", print), Admission(8)
        watched = JobsFollower(jobs, "carl", *followed, Watch(), admission, Images(10**9), account)
        place = tokens.make(here.feed.position, digest_view(prompts))
        jobs_place = tokens.make(here.feed.position, watched._digest)
        older = await asyncpg.connect(pg_url.replace("+asyncpg", ""))
        try:
            async with older.transaction():
                await older.execute("SELECT pg_current_xact_id()")
                await here.answer(prompt)
                view = PromptView(prompts)
                follower = PromptFollower(view, *followed, admission, Images(10**9), account, asyncio.Event())
                await follower.load(place)
                events_sent = view.take(10, lambda: "")
                news = await anext(watched.news(jobs_place))
        finally:
            await older.close()
        await here.catch_up()
        events_sent += view.take(10, lambda: "")
        follower.detach()
    assert [type(e) for e in events_sent] == [Closed, CaughtUp]
    assert [j.job_id for j in news.jobs] == [job.job_id]
