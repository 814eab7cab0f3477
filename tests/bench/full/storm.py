"""A server dies, and all its consoles and workers reconnect at once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from typing import Any

from tests.bench import seeding, servers
from tests.bench.full.frame import Bench
from tests.bench.full.rows import Row, Target
from tests.bench.full.viewers import STREAMS_EACH, Clients, Viewer
from tests.bench.full.workers import RawWorker
from tests.bench.processes import cpu
from tests.bench.servers import RunningServer
from tests.bench.streams import open_channels

JOBS_EACH = 2
"""Jobs that each worker holds."""
CONSOLES_EACH = 5
"""Consoles for each worker."""
OPEN_PROMPTS = 60

Figures = dict[str, dict[str, float]]


async def storm(bench: Bench) -> Sequence[Row]:
    """A kill of the server of 1,000 consoles and 200 workers that hold 400 jobs: all resume at once."""
    found: Figures = defaultdict(dict)
    bare: Figures = defaultdict(dict)
    for name, count in bench.sizes(250, 1_000, least=10).items():
        await _measure(bench, name, count, found)
        with servers.fanout() as server:
            streams = _Streams(count)
            await streams.open(server, name, bare)
            await streams.close()
        bench.say(case="storm", consoles=count, **{row: v[name] for row, v in found.items() if name in v})
    caught_up = "s until all are back"
    targets = {caught_up: Target("floor", 2), "leases lost": Target("value", 0)}
    return [Row(row, values, targets.get(row), bare.get(row, {})) for row, values in found.items()]


async def _measure(bench: Bench, name: str, count: int, found: Figures) -> None:
    streams = _Streams(count)
    with bench.database() as url:
        await seeding.seed(url, seeding.write_queued, len(streams.workers) * JOBS_EACH)
        await seeding.seed(url, seeding.write_waiting, OPEN_PROMPTS)
        with bench.server(url, is_killed=True) as server:
            await streams.open(server, name, defaultdict(dict))
            await streams.wait_for_leases()
            await asyncio.sleep(1)
            os.kill(server.pid, signal.SIGKILL)
            await streams.close()
        with bench.server(url) as server:
            used = cpu(server.pid)[0]
            await streams.open(server, name, found)
            found["server CPU ms a stream"][name] = (cpu(server.pid)[0] - used) / streams.count / 1000
            await asyncio.sleep(1)
            found["leases lost"][name] = sum(worker.lost for worker in streams.workers)
            await streams.close()


class _Streams:
    """Consoles and workers, each with what it needs to resume."""

    def __init__(self, consoles: int) -> None:
        self.viewers = [Viewer(f"{n}") for n in range(consoles)]
        workers = -(-consoles // CONSOLES_EACH)
        self.workers = [RawWorker(f"w{n}", ["bench.0"], JOBS_EACH) for n in range(workers)]
        self.count = consoles + workers
        self._clients: Clients | None = None
        self._channels: list[Any] = []
        self._running: list[asyncio.Task[None]] = []

    async def open(self, server: RunningServer, name: str, found: Figures) -> None:
        """Open or resume all streams, and wait until all have what they missed."""
        self._clients = Clients(server, -(-len(self.viewers) // STREAMS_EACH))
        connections = -(-len(self.workers) // STREAMS_EACH)
        self._channels = open_channels(server.address, connections)
        began = time.perf_counter()
        for number, worker in enumerate(self.workers):
            work = worker.run(self._channels[number % connections])
            worker.is_welcome.clear()
            self._running.append(asyncio.create_task(work))

        async def until(what: str, work: Awaitable[object]) -> None:
            await work
            found[what][name] = time.perf_counter() - began

        welcomes = asyncio.gather(*(worker.is_welcome.wait() for worker in self.workers))
        opening = self._clients.open_all(self.viewers)
        await asyncio.gather(
            until("s until the workers are back", welcomes), until("s until the consoles are back", opening)
        )
        found["s until all are back"][name] = time.perf_counter() - began

    async def wait_for_leases(self) -> None:
        """Wait until each worker holds its jobs."""
        async with asyncio.timeout(60):
            while any(len(worker.held) < JOBS_EACH for worker in self.workers):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        """End the streams, without a goodbye."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()
        assert self._clients is not None
        await self._clients.__aexit__()
        for channel in self._channels:
            await channel.close(None)
