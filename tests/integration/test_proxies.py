"""The proxies of docs/how-to/proxies.md with the configurations of that page and shorter times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from askback import Client, JobState, Worker
from askback._worker.job import Job
from askback_server.sessions import job_follower, work
from askback_server.transport.server import Server
from tests.support.proxies import Proxy
from tests.support.service import ServiceWorld, serving
from tests.support.waiting import until

IDLE = 5.0
"""The idle limit of the proxies in seconds, in tests of this limit."""
BEATS = 5
"""Heartbeats of each side on a quiet stream within that time. The SDK reconnects after three missed
heartbeats, so the interval must be longer than a busy machine may delay a process.
"""


@pytest.fixture(params=["nginx", "haproxy", "envoy"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def idle() -> float:
    """The idle limit of the proxy in other tests, as on the page."""
    return 60.0


@pytest.fixture
async def world(lite_url: str, idle: float, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServiceWorld]:
    for module in (job_follower, work):
        monkeypatch.setattr(module, "IDLE_SECONDS", idle / BEATS)
    monkeypatch.setattr("askback._wire.connection.MAX_SILENCE_SECONDS", idle / BEATS)
    async with serving(lite_url, heartbeat=idle / BEATS, lease_ttl=60.0) as world:
        yield world


@pytest.fixture
async def proxy(world: ServiceWorld, kind: str, idle: float, tmp_path: Path) -> AsyncIterator[Proxy]:
    made = Proxy(kind, tmp_path, world.service.port, idle=f"{idle:g}s")
    await made.start()
    yield made
    await made.stop()


async def follow(stream: Any) -> None:
    async for _ in stream:
        pass


async def longest_stall(seconds: float) -> float:
    """The longest pause of this process, which runs server and clients, within this number of seconds."""
    clock = asyncio.get_running_loop().time
    end, longest = clock() + seconds, 0.0
    while (now := clock()) < end:
        await asyncio.sleep(0.02)
        longest = max(longest, clock() - now)
    return longest


def count_ended_streams(server: Server) -> dict[tuple[str, str], int]:
    """The number of ended streams by method and code."""
    return {
        (method, code): count
        for (method, code), count in server.calls.ended.items()
        if method.rpartition("/")[2] in {"Converse", "Work", "WatchJob", "WatchJobs", "WatchPrompts"}
    }


@pytest.mark.parametrize("idle", [IDLE], ids=["short"])
async def test_a_proxy_does_not_cut_quiet_streams(world: ServiceWorld, proxy: Proxy) -> None:
    """No data is sent on any stream for twice the proxy's limit, and none ends."""
    worker = Worker(proxy.target, user="w", worker_id="w")

    @worker.job("t")
    async def t(job: Job) -> str:
        return str(await job.ask("Which?", str, key="q"))

    async with Client(proxy.target, user="ana") as client, worker, client.console() as desk:
        run = await client.start("t")
        await until(lambda: desk.open_ids)
        following = [
            asyncio.create_task(follow(client.watch_all())),
            asyncio.create_task(follow(client.watch_prompts())),
        ]
        waiting = asyncio.create_task(run.result())
        server = world.service._server
        assert server is not None
        await until(lambda: server.calls.streams.total == 5)
        while True:
            before = count_ended_streams(server)
            if await longest_stall(2 * IDLE) < IDLE / BEATS:
                break
            # A paused process sends no heartbeats, so the proxy or the SDK may end its streams.
            await until(lambda: server.calls.streams.total == 5)
        assert count_ended_streams(server) == before
        [prompt] = [p async for p in client.prompts()]
        await client.answer(prompt, "RESPOND", values="this one")
        async with asyncio.timeout(10):
            assert await waiting == "this one"
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def test_streams_survive_a_restart_of_the_proxy(world: ServiceWorld, proxy: Proxy) -> None:
    """A worker and a waiting client continue behind a new proxy, and one stream transfers more than 1 MB."""
    worker = Worker(proxy.target, user="w", worker_id="w")
    go_on = asyncio.Event()

    @worker.job("t")
    async def t(job: Job) -> str:
        await go_on.wait()
        return "x" * 200_000

    async with Client(proxy.target, user="ana") as client, worker:
        runs = [await client.start("t") for _ in range(6)]
        waiting = asyncio.create_task(runs[0].result())
        await until(lambda: worker.holding == 6)
        await proxy.stop()
        await until(lambda: not worker.connected)
        await proxy.start()
        await until(lambda: worker.connected)
        streams = world.service.replica.streams
        before = set(streams)
        go_on.set()
        async with asyncio.timeout(20):
            results = [await waiting, *[await run.result() for run in runs[1:]]]
        assert [len(result) for result in results] == [200_000] * 6
        assert [(job.state, job.attempt) for job in [await run.job() for run in runs]] == [
            (JobState.COMPLETED, 1)
        ] * 6
        assert any(type(stream).__name__ == "WorkSession" for stream in before & set(streams)), (
            "1.2 MB went by the stream that there was"
        )
