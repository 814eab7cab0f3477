"""What is stored does not make trips, polls and questions cost more. Counted in steps of SQLite's program, of
all connections: a step is taken for each row that is read, and not for waiting. The plans of PostgreSQL are
in test_query_plans.py."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.engine.hot_jobs import MAX_CLOSED_PROMPTS
from tests.bench import seeding
from tests.bench.seeding import Write, seed
from tests.support.aggregates import WORKER, question
from tests.support.storage import Node, node

FEW, MANY = 20, 3_000
AT_MOST = 1.2
"""Maximum growth from FEW to MANY."""

SOME_CALLS = 20
"""How many calls, of some hundreds, may differ: fewer than there are more prompts in memory."""
OURS = re.compile(r"/askback_server/(domain|engine)/")

Count = Callable[[Awaitable[Any]], Awaitable[int]]
"""Awaits something and returns the steps that it took, in tens."""


@pytest.fixture
def count() -> Iterator[Count]:
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    def on_connect(connection: Any, _: Any) -> None:
        if hasattr(connection, "run_async"):
            connection.run_async(lambda own: own.set_progress_handler(step, 10))
        else:
            connection.set_progress_handler(step, 10)

    async def counted(work: Awaitable[Any]) -> int:
        before = steps
        await work
        return steps - before

    sa.event.listen(sa.Engine, "connect", on_connect)
    yield counted
    sa.event.remove(sa.Engine, "connect", on_connect)


@asynccontextmanager
async def warm_node(url: str) -> AsyncIterator[Node]:
    """A replica whose connections are open and whose statements are built."""
    async with node(url) as replica:
        await trip(replica)
        await replica.catch_up()
        yield replica


async def trip(replica: Node) -> None:
    """Create a job, lease it, ask and answer, complete it."""
    job, prompt = await replica.waiting(job_type="trip")
    await replica.answer(prompt)
    await replica.complete(job)


@pytest.mark.parametrize("write", [seeding.write_finished, seeding.write_waiting, seeding.write_queued])
async def test_stored_jobs_cost_nothing(lite_url: str, count: Count, write: Write) -> None:
    costs: list[dict[str, int]] = []
    stored = 0
    for total in (FEW, MANY):
        await seed(lite_url, write, total - stored)
        stored = total
        async with warm_node(lite_url) as here:
            look = here.database.queue.claimable({("default", "trip"): 10, ("other", "bench.0"): 10})
            search = here.database.queue.list_queues({"default": "", "other": ""}, 10)
            page = here.database.feed.after(here.feed.position, 100)
            costs.append(
                {
                    "a trip": await count(trip(here)),
                    "a read of the feed": await count(page),
                    "a poll of timers": await count(here.database.queue.list_due(timedelta(0), 100)),
                    "a look at a queue": await count(look),
                    "a search of queues": await count(search),
                    "a poll of cleanup": await count(here.database.queue.list_expired(100, None)),
                }
            )
    assert costs[0]["a trip"] > 0
    assert {what: n for what, n in costs[1].items() if n > AT_MOST * max(costs[0][what], 3)} == {}


async def ask(replica: Node, token: Any, key: str) -> None:
    """Ask a prompt, answer it, acknowledge the answer."""
    prompt = await replica.ask(token, key, question())
    await replica.answer(prompt)
    done = c.AcknowledgePrompts(
        principal=WORKER, job_id=token.job_id, token=token.token, prompt_ids=(prompt.prompt_id,)
    )
    await replica.do(done)


async def save(replica: Node, token: Any, key: str) -> None:
    """Save a checkpoint."""
    step = c.SaveCheckpoint(principal=WORKER, job_id=token.job_id, token=token.token, key=key, value_json="1")
    await replica.do(step)


@pytest.mark.parametrize("operation", [ask, save])
@pytest.mark.parametrize("is_hot", [True, False], ids=["in memory", "not in memory"])
async def test_what_a_job_has_had_costs_nothing(
    lite_url: str, count: Count, operation: Any, is_hot: bool
) -> None:
    costs = []
    async with warm_node(lite_url) as here:
        for earlier in (10, 150):
            job = await here.lease_new_job()
            for n in range(earlier):
                await operation(here, job, f"k{n}")
            if not is_hot:
                here.hot.drop(job.job_id)
            costs.append(await count(operation(here, job, "one more")))
    assert 0 < costs[1] <= AT_MOST * costs[0], costs


async def count_calls(work: Awaitable[Any]) -> int:
    """The calls that the rules and the engine make, of functions of C too, while something is awaited."""
    calls = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call") and OURS.search(frame.f_code.co_filename):
            calls += 1

    sys.setprofile(count)
    try:
        await work
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("operation", [ask, save])
@pytest.mark.parametrize(("few", "many"), [(10, 60), (70, 70 + 3 * MAX_CLOSED_PROMPTS)])
async def test_what_a_job_has_had_costs_the_program_nothing(
    lite_url: str, operation: Any, few: int, many: int
) -> None:
    """Of 10 and 60 prompts all are in memory, of 70 and 166 equally many: the oldest ones leave it in groups.
    They are neither read nor measured one by one."""
    costs = []
    async with warm_node(lite_url) as here:
        for earlier in (few, many):
            job = await here.lease_new_job()
            for n in range(earlier):
                await operation(here, job, f"k{n}")
            costs.append(await count_calls(operation(here, job, "one more")))
    assert 0 < costs[1] <= costs[0] + SOME_CALLS, costs
