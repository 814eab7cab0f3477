"""Two servers on one PostgreSQL: the same jobs at both."""

import asyncio

import pytest

from askback import Client, JobState
from tests.e2e import load
from tests.e2e.checks import check_all, check_steps, history_of
from tests.e2e.stored import read
from tests.support.processes import Stage, eventually

pytestmark = pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)


async def test_two_instances_see_the_same_job(stage: Stage, migrated_db_url: str) -> None:
    """The seed's own: created at A, run at B, answered at A; both tell the same story."""
    a, b = await asyncio.gather(*(stage.server(migrated_db_url, name=name) for name in "ab"))
    worker = load.worker(stage, b.target, "worker")
    async with (
        Client(a.target, user="ana") as at_a,
        Client(b.target, user="bob") as at_b,
        at_a.console() as desk,
        at_b.console() as other,
    ):
        run = await at_a.start("story", {"keys": ["one", "two"]}, request_id="both")
        again = await at_b.start("story", {"keys": ["one", "two"]}, request_id="both")
        # The principal differs, so this is the same request only if the key is the namespace's.
        assert again.job_id == run.job_id
        ours, theirs = desk.prompts(), other.prompts()
        one = await anext(ours)
        assert (await anext(theirs)).prompt_id == one.prompt_id
        await one.answer("eins")
        two = await anext(theirs)
        assert two.key == "two"
        await two.answer("zwei")
        assert await run.result() == await again.result() == {"one": "eins", "two": "zwei"}
        await eventually(lambda: not desk.open_ids and not other.open_ids, "both desks are empty")
        stored = await read(at_a, run.job_id)
        assert await read(at_b, run.job_id) == stored
    check_all([stored], history_of([worker]))


async def test_a_replica_is_killed_and_the_other_goes_on(stage: Stage, migrated_db_url: str) -> None:
    """The worker's replica dies for good with a question open; a worker at the other finishes."""
    a, b = await asyncio.gather(*(stage.server(migrated_db_url, name=n, lease_ttl=1.5) for n in "ab"))
    first = load.worker(stage, b.target, "first")
    async with Client(a.target, user="ana") as client, client.console() as desk:
        run = await client.start("story", {"keys": ["one", "two"]})
        prompts = desk.prompts()
        await (await anext(prompts)).answer("eins")
        two = await anext(prompts)
        b.kill()
        second = load.worker(stage, a.target, "second")
        await second.says("connected")
        await two.answer("zwei")
        assert await run.result() == {"one": "eins", "two": "zwei"}
        stored = await read(client, run.job_id)
    assert stored.job.state is JobState.COMPLETED
    assert stored.events[-1].actor == "second"
    check_all([stored], history_of([first, second]))
    check_steps([stored], load.effects(stage), ["first", "before one", "before two", "last"])
