"""How the cost of a console's view grows with the open prompts: counted in statements, rows and prompts kept,
never in time."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as pb
from askback_server.domain.content import PromptContent
from askback_server.sessions.prompt_follower import READ_AHEAD
from tests.support.rows import creation, new_job, new_prompt
from tests.support.service import ServiceWorld
from tests.support.streams import Console

CREDIT = 20


async def add_prompts(world: ServiceWorld, count: int) -> None:
    """Store open prompts of three priorities, as rows."""
    jobs = [new_job(ready_at=None) for _ in range(count)]
    prompts = [
        new_prompt(job, PromptContent("confirm", f"{n}", priority=n % 3)) for n, job in enumerate(jobs)
    ]
    for at in range(0, count, 200):
        pairs = zip(jobs[at : at + 200], prompts[at : at + 200], strict=True)
        await world.service.replica.jobs.write([creation(job, prompt) for job, prompt in pairs])
    await world.catch_up()


@contextmanager
def counting(world: ServiceWorld) -> Iterator[Counter[str]]:
    """Count the statements on jobs, prompts and the log inside this context, and the rows that they return,
    but not those of the replica's own tasks, such as the feed."""
    replica, found = world.service.replica, Counter[str]()
    stores: list[Any] = [replica.jobs, replica.log]
    for store in stores:
        store._read = partial(_count, store._read, found)
    try:
        yield found
    finally:
        for store in stores:
            del store._read


async def _count(read: Any, found: Counter[str], *args: Any) -> Any:
    rows = await read(*args)
    task = asyncio.current_task()
    if task is not None and not task.get_name().startswith("askback-"):
        found["statements"] += 1
        found["rows"] += len(rows)
    return rows


def count_kept(world: ServiceWorld) -> int:
    """The prompts that the only console's view has: those that it has shown, and those that wait."""
    [session] = world.service.replica.streams
    view = session._live._view  # type: ignore[attr-defined]
    return len(view._sent) + view.waiting[0]


@pytest.mark.parametrize("database_kind", ["sqlite", "postgres"], indirect=True)
async def test_a_console_with_credit_costs_as_much_with_many_open_prompts_as_with_few(
    world: ServiceWorld,
) -> None:
    costs = []
    for more in (60, 1_200):
        await add_prompts(world, more)
        with counting(world) as cost:
            console = world.console()
            await console.hello(credit=CREDIT)
            for _ in range(CREDIT):
                await console.event("upserted")
            await console.nothing_more()
            kept = count_kept(world)
            await console.aclose()
        costs.append((cost["statements"], cost["rows"], kept))
    assert costs[0] == costs[1]
    assert costs[0][2] == CREDIT + READ_AHEAD


async def test_a_resume_costs_less_than_a_snapshot_and_does_not_grow(lite: ServiceWorld) -> None:
    """A rush of consoles with equal tokens shares the reads."""
    costs = []
    for more in (30, 600):
        await add_prompts(lite, more)
        console = lite.console()
        with counting(lite) as snapshot:
            await console.hello()
            token = (await console.snapshot())[1].resume_token
        await console.aclose()
        changed = await lite.create_prompt()
        with counting(lite) as alone:
            again = lite.console()
            await again.hello(resume_token=token)
            assert [p.prompt_id for p in (await again.snapshot())[0]] == [changed.prompt_id]
            await again.aclose()
        consoles = [lite.console(lite.as_user("ada")) for _ in range(40)]
        with counting(lite) as rush:
            await asyncio.gather(*(c.hello(resume_token=token) for c in consoles))
            for shown, _ in await asyncio.gather(*(c.snapshot() for c in consoles)):
                assert [p.prompt_id for p in shown] == [changed.prompt_id]
        await asyncio.gather(*(c.aclose() for c in consoles))
        assert alone["statements"] == 3  # the log, and the sizes and rows of what changed
        assert alone["rows"] < snapshot["rows"]
        assert rush["statements"] <= 40, "each console would need three"
        costs.append(alone)
    assert costs[0] == costs[1]


async def test_a_rush_of_equal_consoles_shares_its_snapshots(lite: ServiceWorld) -> None:
    await add_prompts(lite, 30)
    consoles = [lite.console() for _ in range(40)]
    with counting(lite) as rush:
        await asyncio.gather(*(console.hello() for console in consoles))
        for shown, _ in await asyncio.gather(*(console.snapshot() for console in consoles)):
            assert len(shown) == 30
    assert rush["statements"] <= 40, "each console would need two"


async def read_all(world: ServiceWorld, console: Console) -> int:
    shown = 0
    while (event := (await console.frame()).prompt_event).WhichOneof("event") != "caught_up":
        assert event.WhichOneof("event") == "upserted"
        shown += 1
        await console.send(pb.ConverseClientFrame(credit=pb.ConverseCredit(prompts=1)))
    return shown


@pytest.mark.parametrize("credit", [CREDIT, 0], ids=["credit", "no credit"])
async def test_all_open_prompts_cost_in_proportion_to_their_number(world: ServiceWorld, credit: int) -> None:
    costs, total = [], 0
    for more in (150, 600):
        await add_prompts(world, more)
        total += more
        with counting(world) as cost:
            console = world.console()
            await console.hello(credit=credit)
            if credit:
                assert await read_all(world, console) == total
            else:
                assert len((await console.snapshot())[0]) == total
            await console.aclose()
        costs.append((total, cost))
    (few, small), (many, large) = costs
    for what in ("statements", "rows"):
        # Twice for the few statements that every view costs.
        assert large[what] / many <= 1.2 * small[what] / few, (what, costs)
