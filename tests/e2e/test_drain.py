"""SIGTERM of the server under load: no code of a user sees an error."""

import asyncio
from functools import partial

import pytest

from askback import Client, Event, JobState, Run
from tests.e2e import load
from tests.e2e.checks import check_all, check_steps, history_of
from tests.e2e.stored import read_all
from tests.support.processes import Processes, eventually

JOBS = 16
DRAINS = {"sqlite": 2, "postgres": 1}


@pytest.mark.long
async def test_a_drain_under_load_loses_nothing(
    processes: Processes, migrated_db_url: str, database_kind: str
) -> None:
    """The server exits with 0 while jobs run, consoles answer and programs watch; the next takes its port."""
    server = await processes.server(migrated_db_url, lease_ttl=20, drain_grace=0.5)
    crew = load.Crew(processes, server.target, seed=3)
    await crew.wait_for_connections()
    async with Client(server.target, user="boss") as client:
        # A job that stays open during the test, with a program that watches it.
        slow = await client.ask("Will you ever answer?", to=["user:nobody"])
        following = asyncio.create_task(_follow(slow))
        calling = asyncio.create_task(_call_repeatedly(client, slow.job_id))
        jobs = asyncio.create_task(load.run_jobs(client, JOBS, at_once=5))
        try:
            for drain in range(drains := DRAINS[database_kind]):
                verdicts = (drain + 0.5) * 3 * JOBS / drains
                await eventually(partial(crew.has_verdicts, verdicts), "people get verdicts")
                assert not jobs.done(), jobs
                assert await server.terminate() == 0, server.log
                assert "Traceback" not in server.log
                await server.serve()
            job_ids = await asyncio.wait_for(jobs, 60)
            await slow.cancel("enough")
            followed = await asyncio.wait_for(following, 30)
            assert not calling.done(), calling
        finally:
            jobs.cancel()
            following.cancel()
            calling.cancel()
        await crew.leave()
        stored = await read_all(client, [slow.job_id, *job_ids])
    assert [e.seq for e in followed] == list(range(1, len(followed) + 1))
    assert followed[-1].state is JobState.CANCELLED
    assert {s.job.state for s in stored[1:]} == {JobState.COMPLETED}
    # No job needed a second attempt, and no lease was lost.
    assert {s.job.attempt for s in stored} == {1}
    check_all(stored, history_of(crew.all))
    check_steps(stored[1:], load.effects(processes), load.STEPS)
    assert await server.terminate() == 0


async def _call_repeatedly(client: Client, job_id: str) -> None:
    """Keep unary calls in flight at every moment of a drain."""
    while True:
        await asyncio.gather(*(client.get(job_id) for _ in range(4)))
        await asyncio.sleep(0.01)  # without a pause this would be most of the load


async def _follow(run: Run) -> list[Event]:
    return [event async for event in run.watch()]
