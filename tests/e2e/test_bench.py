"""The bench runs: its floors store what they acknowledge, and a small run of it writes its rows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.bench.drive import Plan, driving
from tests.bench.rounds import CASES
from tests.bench.servers import RunningServer, serving

pytestmark = pytest.mark.long

TRIPS, LANES = 20, 4
COUNTS = """
SELECT (SELECT count(*) FROM prompts WHERE state = 2 AND response IS NOT NULL),
  (SELECT count(*) FROM answers), (SELECT count(*) FROM events WHERE type = 'PROMPT_ANSWERED'),
  (SELECT count(*) FROM jobs WHERE state = 4 AND result IS NOT NULL),
  (SELECT count(*) FROM events WHERE type = 'JOB_COMPLETED'),
  (SELECT count(*) FROM jobs j WHERE version <> (SELECT count(*) FROM events e WHERE e.job_id = j.job_id))
"""


async def test_the_durable_floor_has_stored_what_it_acknowledged(db_url: str, tmp_path: Path) -> None:
    database = db_url.replace("+asyncpg", "").removeprefix("sqlite+aiosqlite:///")
    command = ["-m", "tests.bench.durable", "--db", database]
    with serving(command, {}, tmp_path, is_killed=True) as (pid, address):
        async with driving(RunningServer("floor", address, pid), Plan(in_flight=LANES)) as driver:
            await driver.time_trips(TRIPS)
            await driver.client.complete(await driver.client.new_job(0))
            driver.client.start_callers()
            await driver.client.wait_for(asyncio.gather(*(driver.client.call_job(n) for n in range(LANES))))
            os.kill(pid, signal.SIGKILL)
    engine = create_async_engine(db_url)
    async with engine.connect() as connection:
        prompts, answers, answered, jobs, completed, unequal = (
            await connection.execute(sa.text(COUNTS))
        ).one()
    await engine.dispose()
    assert prompts == answers == answered == TRIPS
    assert jobs == completed == 1 + LANES
    assert unequal == 0, "an event for each version of a job"


async def test_a_small_run_writes_a_row_for_each_metric(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    command = [
        "-m",
        "tests.bench",
        "--only",
        "sqlite",
        "--rounds",
        "1",
        "--scale",
        "0.1",
        "--json",
        f"{file}",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output  # no verdict on one round
    rows = json.loads(file.read_text())
    assert {row["case"] for row in rows} == {of + case for of in ("", "floor/", "aa/") for case in CASES}
    assert {row["database"] for row in rows} == {"sqlite"}
    metrics = {row["metric"] for row in rows if row["case"] == "trips"}
    assert metrics == {"rate", "server_cpu", "client_cpu", "bytes"}
    # The floors send what Askback sends. Few trips of different sizes are compared, so not exactly.
    sizes = [row["ratio"] for row in rows if row["metric"] == "bytes" and row["case"].endswith("alone")]
    assert all(0.95 < ratio < 1.05 for ratio in sizes), output
