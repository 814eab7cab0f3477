"""SIGKILL of the server: what it acknowledged stays true."""

import asyncio
import os
import random
from functools import partial

import pytest

from askback import Client, JobState
from tests.e2e import load
from tests.e2e.checks import check_all, check_steps, history_of
from tests.e2e.stored import read, read_all
from tests.support.processes import Processes, eventually

KILLS = {"sqlite": 5, "postgres": 3}
JOBS = 20


async def test_an_open_question_survives_a_server_kill(processes: Processes, migrated_db_url: str) -> None:
    """The server is killed while the question is open; restarted on the same database, the job completes."""
    server = await processes.server(migrated_db_url)
    worker = load.start_worker(processes, server.target, "worker")
    async with Client(server.target, user="ana") as client, client.console() as console:
        run = await client.start("story", {"keys": ["colour"]})
        shown = await anext(console.prompts())
        before = await read(client, run.job_id)

        server.kill()
        await eventually(lambda: not console.connected, "the console is disconnected")
        await server.serve()
        await console.caught_up.wait()

        assert shown.still_open
        assert await read(client, run.job_id) == before
        outcome = await shown.answer("green")
        assert outcome.status == "ACCEPTED"
        assert await run.result() == {"colour": "green"}
        await server.crash_and_serve()
        after = await read(client, run.job_id)
        assert after.prompts[shown.prompt_id].answered == outcome.prompt.answered
        assert after.events[: len(before.events)] == before.events
        check_all([after], history_of([worker]))
        check_steps([after], load.effects(processes), ["first", "before colour", "last"])


@pytest.mark.long
async def test_repeated_server_kills_under_load_lose_nothing(
    processes: Processes, migrated_db_url: str, database_kind: str
) -> None:
    """SIGKILL at random moments while three consoles race and two workers run jobs."""
    seed = int(os.environ.get("ASKBACK_TEST_SEED", "1"))
    moments = random.Random(seed)
    kills = KILLS[database_kind]
    # Sessions outlive a restart here: no attempt is used up, so no step may run twice.
    server = await processes.server(migrated_db_url, lease_ttl=20)
    crew = load.Crew(processes, server.target, seed=seed)
    await crew.wait_for_connections()
    async with Client(server.target, user="boss") as client:
        jobs = asyncio.create_task(load.run_jobs(client, JOBS, at_once=5))
        try:
            for kill in range(kills):
                # Each job gives at least 3 verdicts; the kills are spread over all of them.
                verdicts = (kill + moments.random()) * 3 * JOBS / kills
                await eventually(partial(crew.has_verdicts, verdicts), "people get verdicts", every=0.002)
                await asyncio.sleep(moments.uniform(0, 0.02))
                assert not jobs.done(), f"before the last kill: {jobs!r}"
                await server.crash_and_serve()
            job_ids = await asyncio.wait_for(jobs, 60)
        finally:
            jobs.cancel()
        await crew.leave()
        # Read from the database, not from the memory of the server.
        await server.crash_and_serve()
        stored = await read_all(client, job_ids)
    assert {s.job.state for s in stored} == {JobState.COMPLETED}
    check_all(stored, history_of(crew.all))
    check_steps(stored, load.effects(processes), load.STEPS)
