"""Three replicas behind one address restart one by one under load: no code of a user sees an error."""

import asyncio
from functools import partial

import pytest

from askback import Client, Event, JobState, Run
from tests.e2e import load
from tests.e2e.checks import check_all, check_steps, history_of
from tests.e2e.stored import read_all
from tests.support.balancer import balance
from tests.support.processes import Processes, eventually

pytestmark = [
    pytest.mark.parametrize("database_kind", ["postgres"], indirect=True),
    pytest.mark.long,
    pytest.mark.timeout(180),
]

JOBS = 30


async def test_a_rolling_restart_loses_nothing_and_raises_no_errors(
    processes: Processes, migrated_db_url: str
) -> None:
    names = ("a", "b", "c")
    settings = {"lease_ttl": 20, "drain_grace": 5, "drain_spread": 0.5}
    replicas = await asyncio.gather(*(processes.server(migrated_db_url, name=n, **settings) for n in names))
    async with balance([replica.port for replica in replicas]) as target:
        crew = load.Crew(processes, target, seed=5)
        await crew.wait_for_connections()
        async with Client(target, user="boss") as client:
            slow = await client.ask("Will you ever answer?", to=["user:nobody"])
            following = asyncio.create_task(_follow(slow))
            calling = asyncio.create_task(_call_repeatedly(client, slow.job_id))
            jobs = asyncio.create_task(load.run_jobs(client, JOBS, at_once=5))
            try:
                for turn, replica in enumerate(replicas):
                    verdicts = (turn + 0.5) * 3 * JOBS / len(replicas)
                    await eventually(partial(crew.has_verdicts, verdicts), "people get verdicts", within=60)
                    assert not calling.done(), calling
                    assert await replica.terminate() == 0, replica.log
                    assert "Traceback" not in replica.log
                    await replica.serve()
                job_ids = await asyncio.wait_for(jobs, 90)
                await slow.cancel("enough")
                followed = await asyncio.wait_for(following, 30)
                assert not calling.done(), calling
            finally:
                for task in (jobs, following, calling):
                    task.cancel()
            await crew.leave()
            stored = await read_all(client, [slow.job_id, *job_ids])
    assert [e.seq for e in followed] == list(range(1, len(followed) + 1))
    assert {s.job.state for s in stored[1:]} == {JobState.COMPLETED}
    assert {s.job.attempt for s in stored} == {1}, "no job needed a second attempt"
    check_all(stored, history_of(crew.all))
    check_steps(stored[1:], load.effects(processes), load.STEPS)


async def _call_repeatedly(client: Client, job_id: str) -> None:
    """Keep unary calls in flight at every moment of the restarts."""
    while True:
        await asyncio.gather(*(client.get(job_id) for _ in range(4)))
        await asyncio.sleep(0.01)  # without a pause this would be most of the load


async def _follow(run: Run) -> list[Event]:
    return [event async for event in run.watch()]
