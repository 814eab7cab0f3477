"""A server restarts, and fifteen consoles for each worker reconnect at once: no lease is lost."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from askback import Client, Run
from askback_server.storage.migrate import upgrade
from tests.support.processes import Processes

WORKERS, CONSOLES = 10, 150
CROWD = "tests.e2e.programs.crowd"


@pytest.mark.long
async def test_a_reconnect_storm_costs_no_lease(processes: Processes, tmp_path: Path) -> None:
    """In the proportion of 200 workers to 3,000 consoles. A lease lasts for 12 s."""
    url = f"sqlite+aiosqlite:///{tmp_path}/storm.db"
    upgrade(url)
    server = await processes.server(url, lease_ttl=12, heartbeat=1)
    enough = tmp_path / "enough"
    async with Client(server.target, user="boss") as boss:
        runs = [await boss.start("long", {}) for _ in range(WORKERS)]
        for n in range(60):
            await boss.ask(f"Question {n}?", body="b" * 4_000)
        workers = processes.module("workers", CROWD, server.target, "workers", str(WORKERS), str(enough))
        consoles = processes.module("consoles", CROWD, server.target, "consoles", str(CONSOLES))
        await workers.wait_for_event("begun", count=WORKERS)
        await consoles.wait_for_event("views")
        await server.crash_and_serve()
        await consoles.wait_for_event("views", count=2)
        await asyncio.to_thread(enough.touch)
        assert [await run.result() for run in runs] == ["done"] * WORKERS
        events = await asyncio.gather(*(types_of(run) for run in runs))
        attempts = {(await boss.get(run.job_id)).attempt for run in runs}
    assert attempts == {1}
    for found in events:
        assert found["JOB_LEASED"] == 1
        assert not found["JOB_LEASE_LOST"]
        assert not found["JOB_RELEASED"]


async def types_of(run: Run) -> Counter[str]:
    """The number of events of each type in the log of a job."""
    return Counter([event.type async for event in run.watch()])
