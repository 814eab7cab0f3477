"""The SDK's worker after a lost connection, a pause of its process or a lost job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from askback import Client, Job
from askback import Worker as SdkWorker
from tests.faults.proxy import Link
from tests.support.job_events import LOST, events
from tests.support.processes import Processes
from tests.support.service import SHORT_TTL, ServiceWorld, serving
from tests.support.waiting import until


@pytest.fixture
async def hasty_lite(lite_url: str) -> AsyncIterator[ServiceWorld]:
    """A service on SQLite whose sessions expire soon."""
    async with serving(lite_url, lease_ttl=SHORT_TTL) as running:
        yield running


async def wait_past_old_timers(world: ServiceWorld) -> None:
    """Wait until a session has been extended for longer than any timer of an earlier one runs.

    Between two streams of the worker the server knows no session, or still the one before.
    """
    live = world.service.replica.keeper._live
    await until(lambda: live)
    latest = max(session.expires_at for session in live.values())
    wanted = latest + timedelta(seconds=1.3 * SHORT_TTL)
    await until(lambda: any(session.expires_at > wanted for session in live.values()))


@pytest.fixture
async def link(hasty_lite: ServiceWorld) -> AsyncIterator[Link]:
    """A connection from a worker to the server that tests can break."""
    link = Link("worker", lambda: hasty_lite.service.port)
    await link.open()
    yield link
    await link.close()


@pytest.mark.parametrize("side", ["server", "client"])
async def test_a_half_open_connection_costs_no_job_and_no_attempt(
    hasty_lite: ServiceWorld, link: Link, side: str
) -> None:
    """One direction loses its data: a job in flight is run once, and jobs of the next session stay."""
    worker = SdkWorker(f"127.0.0.1:{link.port}", user="ada", worker_id="w")
    runs: list[tuple[str, int]] = []
    gate = asyncio.Event()

    @worker.job("t")
    async def wait(job: Job) -> str:
        runs.append((job.job_id, job.attempt))
        await gate.wait()
        return "done"

    async with worker, Client(f"127.0.0.1:{hasty_lite.service.port}", user="ada") as client:
        link.half_open(side)
        run = await client.start("t")
        if side == "server":
            await events(hasty_lite, run.job_id, LOST)
        else:
            await until(lambda: hasty_lite.service.replica.keeper.present == [])
        link.heal()
        await until(lambda: worker.connected and runs)
        late = await client.start("t")
        await until(lambda: any(job_id == late.job_id for job_id, _ in runs))
        await wait_past_old_timers(hasty_lite)
        gate.set()
        assert [await run.result(), await late.result()] == ["done", "done"]
    if side == "server":
        assert set(runs) == {(run.job_id, 1), (late.job_id, 1)}


async def test_a_job_that_a_worker_drops_silently_is_run_again(hasty_lite: ServiceWorld) -> None:
    """For any cause: the next heartbeats leave the job out."""
    worker = SdkWorker(f"127.0.0.1:{hasty_lite.service.port}", user="ada", worker_id="w")
    gate = asyncio.Event()
    runs: list[int] = []

    @worker.job("t")
    async def wait(job: Job) -> int:
        runs.append(job.attempt)
        await gate.wait()
        return job.attempt

    async with worker, Client(f"127.0.0.1:{hasty_lite.service.port}", user="ada") as client:
        dropped, kept = await client.start("t"), await client.start("t")
        await until(lambda: len(runs) == 2)
        for lease, task in list(worker._runs.items()):
            if lease.job_id == dropped.job_id:
                task.cancel()
        await until(lambda: runs == [1, 1, 2])
        gate.set()
        assert [await dropped.result(), await kept.result()] == [2, 1]


async def test_a_short_outage_ends_no_function(hasty_lite: ServiceWorld, link: Link) -> None:
    """After an outage of most of the session's time to live, the worker resumes with its job."""
    worker = SdkWorker(f"127.0.0.1:{link.port}", user="ada", worker_id="w")
    gate = asyncio.Event()
    ended: list[str] = []

    @worker.job("t")
    async def wait(job: Job) -> str:
        try:
            await gate.wait()
        finally:
            ended.append("cancelled" if not gate.is_set() else "done")
        return f"attempt {job.attempt}"

    async with worker, Client(f"127.0.0.1:{hasty_lite.service.port}", user="ada") as client:
        run = await client.start("t")
        await until(lambda: worker.holding)
        session = worker._protocol.session if worker._protocol else None
        assert session is not None
        link.cut()
        await until(lambda: not worker.connected and session._expiry is not None)
        loop = asyncio.get_running_loop()
        # After half of the remaining time, a worker that assumed an earlier expiry would have stopped.
        half = (session._expiry.when() - loop.time()) / 2 if session._expiry else 0.0
        assert half > SHORT_TTL / 3
        link.heal()
        await until(lambda: worker.connected)
        assert worker._protocol is not None
        assert worker._protocol.session is session
        gate.set()
        assert await run.result() == "attempt 1"
    assert ended == ["done"]


async def test_a_frozen_worker_loses_nothing_of_its_next_session(
    hasty_lite: ServiceWorld, tmp_path: Path
) -> None:
    """SIGSTOP for longer than its lease: the job that was pushed meanwhile runs elsewhere without using an
    attempt, and the resumed worker keeps the jobs that it then receives.
    """
    processes, gate = Processes(tmp_path), tmp_path / "gate"
    target = f"127.0.0.1:{hasty_lite.service.port}"
    frozen = processes.module("frozen", "tests.e2e.programs.worker", target, "frozen", str(tmp_path))
    keeper = hasty_lite.service.replica.keeper
    try:
        await frozen.wait_for_event("connected")
        async with Client(target, user="ana") as client:
            frozen.signal(SIGSTOP)
            run = await client.start("story", {"keys": [], "gate": str(gate), "gate_at": "first"})
            await events(hasty_lite, run.job_id, LOST)
            assert (await run.job()).attempt == 1
            await until(lambda: not keeper.present)
            frozen.signal(SIGCONT)
            runs = await frozen.wait_for_event("at gate")
            assert (await run.job()).attempt == 1
            await wait_past_old_timers(hasty_lite)
            gate.touch()
            assert await run.result() == {}
            assert (await run.job()).proto.token == runs["token"]
    finally:
        processes.end()
