"""What consoles cost as consoles and open prompts grow."""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Sequence

from tests.bench import seeding, servers
from tests.bench.full.frame import Bench
from tests.bench.full.rows import Row, Target
from tests.bench.full.viewers import STREAMS_EACH, Clients, Viewer
from tests.bench.processes import cpu, memory
from tests.bench.servers import RunningServer

CREDIT = 20
BURST = 100
TURNS = 5
IDLE_S = 5.0

Figures = dict[str, dict[str, float]]
"""By the name of a row and the size."""


async def consoles(bench: Bench) -> Sequence[Row]:
    """100, 1,000 and 10,000 idle consoles: memory of each, opening them, one prompt to all."""
    sizes = bench.sizes(100, 1_000, 10_000)
    found: Figures = defaultdict(dict)
    bare: Figures = defaultdict(dict)
    for name, count in sizes.items():
        with bench.database() as url, bench.server(url) as server:
            await _idle(server, count, name, found)
        with servers.fanout() as server:
            await _idle(server, count, name, bare)
        bench.say(case="consoles", consoles=count, **{row: values[name] for row, values in found.items()})
    targets = {"KiB each": Target("value", 40), "one prompt to all: ms to the last": Target("floor", 1.3)}
    return [Row(row, values, targets.get(row), bare[row]) for row, values in found.items()]


async def _idle(server: RunningServer, count: int, name: str, found: Figures) -> None:
    viewers = [Viewer(f"{n}") for n in range(count)]
    async with Clients(server, -(-count // STREAMS_EACH)) as clients:
        await clients.ask(0)  # warms up
        occupied = memory(server.pid)
        opened = await clients.cost(clients.open_all(viewers))
        found["KiB each"][name] = (memory(server.pid) - occupied) / count
        found["open: server CPU ms each"][name] = opened["cpu_ms"] / count
        used = cpu(server.pid)[0]
        await asyncio.sleep(IDLE_S)
        found["idle: % of a CPU"][name] = (cpu(server.pid)[0] - used) / IDLE_S / 10_000
        turns = [await clients.cost(clients.ask_all(1, viewers)) for _ in range(TURNS)]
        last = statistics.median(turn["s"] for turn in turns)
        found["one prompt to all: ms to the last"][name] = 1000 * last
        us = statistics.median(1000 * turn["cpu_ms"] / count for turn in turns)
        found["one prompt to all: server CPU µs each"][name] = us


async def burst(bench: Bench) -> Sequence[Row]:
    """100 prompts by 100 calls to 100 and 1,000 consoles, also beside a console that does not read."""
    prompts = max(4, round(BURST * min(1.0, 10 * bench.scale)))
    found: Figures = defaultdict(dict)
    bare: Figures = defaultdict(dict)
    for name, count in bench.sizes(100, 1_000).items():
        with bench.database() as url, bench.server(url) as server:
            await _burst(server, count, prompts, name, found)
        with servers.fanout() as server:
            await _burst(server, count, prompts, name, bare)
        bench.say(case="burst", consoles=count, **{row: values[name] for row, values in found.items()})
    within = Target("floor", 1.3)
    targets = {f"{prompts} prompts: s to the last": within}
    return [Row(row, values, targets.get(row), bare[row]) for row, values in found.items()]


async def _burst(server: RunningServer, count: int, prompts: int, name: str, found: Figures) -> None:
    viewers = [Viewer(f"{n}") for n in range(count)]
    async with Clients(server, -(-count // STREAMS_EACH)) as clients:
        await clients.open_all(viewers)
        await clients.ask_all(prompts, viewers)  # warms up
        received = sum(viewer.messages for viewer in viewers)
        turns = [await clients.cost(clients.ask_all(prompts, viewers)) for _ in range(TURNS)]
        received = sum(viewer.messages for viewer in viewers) - received
        found[f"{prompts} prompts: s to the last"][name] = statistics.median(turn["s"] for turn in turns)
        us = statistics.median(1000 * turn["cpu_ms"] / count / prompts for turn in turns)
        found["server CPU µs for each prompt and console"][name] = us
        found["messages to each console"][name] = received / count / TURNS
        async with Clients(server) as slow:
            stalled = await slow.open_without_reading()
            turns = [await clients.cost(clients.ask_all(prompts, viewers)) for _ in range(TURNS)]
            stalled.cancel()
        beside = f"{prompts} prompts beside a console that does not read: s"
        found[beside][name] = statistics.median(turn["s"] for turn in turns)


async def snapshot(bench: Bench) -> Sequence[Row]:
    """A new console with none, 1,000, 10,000 and 100,000 open prompts: its first 20, and all of them."""
    first, every = f"with credit {CREDIT}: ms to the first {CREDIT}", "all: µs of server CPU each"
    found: Figures = {name: {} for name in (first, "first: server CPU ms", "first: MiB", every, "all: s")}
    stored = 0
    with bench.database() as url:
        for name, count in {"0": 0, **bench.sizes(1_000, 10_000, 100_000)}.items():
            if count > stored:
                await seeding.seed(url, seeding.write_waiting, count - stored)
                stored = count
            with bench.server(url) as server:
                async with Clients(server) as clients:
                    turns = []
                    for _ in range(1 + TURNS):  # the first one warms up
                        work = clients.open_first(Viewer("ada"), CREDIT, min(CREDIT, count))
                        turns.append(await clients.cost(work))
                        await clients.leave()
                    found[first][name] = 1000 * statistics.median(turn["s"] for turn in turns[1:])
                    used = statistics.median(turn["cpu_ms"] for turn in turns[1:])
                    found["first: server CPU ms"][name] = used
                    found["first: MiB"][name] = statistics.median(turn["memory_mib"] for turn in turns[1:])
                    if not count:
                        continue
                    viewer = Viewer("ada")
                    whole = await clients.cost(clients.open_all([viewer]))
                    assert viewer.prompts == count
                    found[every][name] = 1000 * whole["cpu_ms"] / count
                    found["all: s"][name] = whole["s"]
            bench.say(
                case="snapshot", prompts=count, **{row: v[name] for row, v in found.items() if name in v}
            )
    targets = {first: Target("growth", 1.5), every: Target("growth", 1.2)}
    return [Row(row, values, targets.get(row)) for row, values in found.items()]
