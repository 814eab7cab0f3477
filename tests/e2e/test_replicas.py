"""Two replicas on one PostgreSQL serve the same jobs."""

import asyncio

import pytest

from askback import Client, JobState
from tests.e2e import load
from tests.e2e.checks import check_all, check_steps, history_of
from tests.e2e.stored import read
from tests.support.processes import Processes, eventually

pytestmark = pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)


async def test_two_replicas_serve_the_same_job(processes: Processes, migrated_db_url: str) -> None:
    """It is created at A, run at B, and answered at both; both return the same events and rows."""
    a, b = await asyncio.gather(*(processes.server(migrated_db_url, name=name) for name in "ab"))
    worker = load.start_worker(processes, b.target, "worker")
    async with (
        Client(a.target, user="ana") as at_a,
        Client(b.target, user="bob") as at_b,
        at_a.console() as console,
        at_b.console() as other,
    ):
        run = await at_a.start("story", {"keys": ["one", "two"]}, request_id="both")
        again = await at_b.start("story", {"keys": ["one", "two"]}, request_id="both")
        # The principal differs, so this is the same request only if the key is the namespace's.
        assert again.job_id == run.job_id
        ours, theirs = console.prompts(), other.prompts()
        one = await anext(ours)
        assert (await anext(theirs)).prompt_id == one.prompt_id
        await one.answer("eins")
        two = await anext(theirs)
        assert two.key == "two"
        await two.answer("zwei")
        assert await run.result() == await again.result() == {"one": "eins", "two": "zwei"}
        await eventually(lambda: not console.open_ids and not other.open_ids, "both consoles are empty")
        stored = await read(at_a, run.job_id)
        assert await read(at_b, run.job_id) == stored
    check_all([stored], history_of([worker]))


async def test_a_job_survives_the_death_of_its_replica(processes: Processes, migrated_db_url: str) -> None:
    """The replica of its worker is killed while a question is open; a worker at the other completes it."""
    a, b = await asyncio.gather(*(processes.server(migrated_db_url, name=n, lease_ttl=1.5) for n in "ab"))
    first = load.start_worker(processes, b.target, "first")
    async with Client(a.target, user="ana") as client, client.console() as console:
        run = await client.start("story", {"keys": ["one", "two"]})
        prompts = console.prompts()
        await (await anext(prompts)).answer("eins")
        two = await anext(prompts)
        b.kill()
        second = load.start_worker(processes, a.target, "second")
        await second.wait_for_event("connected")
        await two.answer("zwei")
        assert await run.result() == {"one": "eins", "two": "zwei"}
        stored = await read(client, run.job_id)
    assert stored.job.state is JobState.COMPLETED
    assert stored.events[-1].actor == "second"
    check_all([stored], history_of([first, second]))
    check_steps([stored], load.effects(processes), ["first", "before one", "before two", "last"])


async def test_a_running_job_survives_the_death_of_its_worker_and_replica(
    processes: Processes, migrated_db_url: str
) -> None:
    """Another replica releases the job once the session has expired, with a backoff and one more attempt; the
    last attempt that ends so fails the job."""
    a, b = await asyncio.gather(*(processes.server(migrated_db_url, name=n, lease_ttl=1.0) for n in "ab"))
    gate = str(processes.folder / "never")
    async with Client(a.target, user="ana") as client:
        run = await client.start("held", max_attempts=2)
        first = processes.module("first", "tests.e2e.programs.holder", b.target, "first", "held", gate)
        lost = await first.wait_for_event("leased")
        first.kill()
        b.kill()
        second = processes.module("second", "tests.e2e.programs.holder", a.target, "second", "held", gate)
        again = await second.wait_for_event("leased")
        assert again["token"] == lost["token"] + 1
        second.kill()

        async def has_failed() -> bool:
            return (await client.get(run.job_id)).state is JobState.FAILED

        await eventually(has_failed, "the attempts are used up")
        stored = await read(client, run.job_id)
    at = {event.type: event.at for event in stored.events}
    assert [e.type for e in stored.events] == [
        "JOB_CREATED",
        "JOB_LEASED",
        "JOB_LEASE_LOST",
        "JOB_LEASED",
        "JOB_FAILED",
    ]
    assert (at["JOB_LEASED"] - at["JOB_LEASE_LOST"]).total_seconds() >= 1, "no backoff"
    assert stored.job.attempt == 2
    assert "LEASE_LOST" in str(stored.job.failure)


@pytest.mark.long
async def test_a_concurrency_limit_holds_across_replicas_and_the_death_of_one(
    processes: Processes, migrated_db_url: str
) -> None:
    """At most two stories run at once, at both replicas together. Jobs held by a worker of a killed replica
    count until they are released; then others run in their place. If the replica held the lock of the queue,
    no job is leased until nothing under that lock can be committed any more (ADR 0020)."""
    limits = {"lease_ttl": 1.5, "concurrency": "story=2"}
    a, b = await asyncio.gather(*(processes.server(migrated_db_url, name=n, **limits) for n in "ab"))
    workers = [load.start_worker(processes, server.target, f"at-{server.name}") for server in (a, b)]
    for worker in workers:
        await worker.wait_for_event("connected")
    maximum = 0
    async with Client(a.target, user="ana") as client:
        runs = [await client.start("story", {"keys": []}, request_id=f"r{n}") for n in range(12)]

        async def all_completed() -> bool:
            nonlocal maximum
            states = [job.state async for job in client.list()]
            maximum = max(maximum, states.count(JobState.RUNNING))
            if states.count(JobState.COMPLETED) >= 4:
                b.kill()
            return states.count(JobState.COMPLETED) == len(runs)

        await eventually(all_completed, "all stories are completed", within=60)
    assert maximum <= 2
