"""What trips and jobs cost with more in flight, and beside what is stored."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from askback_server.storage import tables
from tests.bench import seeding, servers
from tests.bench.drive import Measurements, Plan, Window, measure
from tests.bench.full.frame import Bench, on_database
from tests.bench.full.rows import Row, Target
from tests.bench.processes import cpu, memory
from tests.bench.report import percentile
from tests.bench.servers import RunningServer
from tests.bench.waiting import Waiting
from tests.bench.waiting import sizes as sizes_on_disk

PACE = 50.0
"""Trips per second."""
WINDOWS = 3
IDLE_S = 10.0
SETTLING_S = 120
REST_S = 75.0
"""A replica forgets jobs that were not used for a minute."""
QUIET_US = 50_000
"""CPU µs in a second below which a server has nothing left to do."""

Figures = dict[str, dict[str, float]]
"""By the name of a row and the size."""


async def trips(bench: Bench) -> Sequence[Row]:
    """Trips one at a time, with 64 and 512 in flight, and paced at 50 per second."""
    seconds = bench.seconds
    found: Figures = defaultdict(dict)
    bare: Figures = defaultdict(dict)
    for count in (1, 64, 512):
        plan = Plan(seconds, in_flight=count, alone=False, jobs=False)
        for figures, measured in zip((found, bare), await _on_both(bench, plan), strict=True):
            _add(figures, f"{count}", "trip", measured.loaded)
    plan = Plan(2 * seconds, alone=False, loaded=False, jobs=False, paced=PACE)
    for figures, measured in zip((found, bare), await _on_both(bench, plan), strict=True):
        figures["ms a trip, paced: median"][f"{PACE:.0f}/s"] = statistics.median(measured.paced)
        figures["ms a trip, paced: p99"][f"{PACE:.0f}/s"] = percentile(measured.paced, 99)
    return [Row(name, values, None, bare[name]) for name, values in found.items()]


async def jobs(bench: Bench) -> Sequence[Row]:
    """Jobs that ask no one: created, leased to a stream and completed, 64 and 512 in flight."""
    found: Figures = defaultdict(dict)
    bare: Figures = defaultdict(dict)
    for count in (64, 512):
        plan = Plan(2 * bench.seconds, in_flight=count, alone=False, loaded=False)
        for figures, measured in zip((found, bare), await _on_both(bench, plan), strict=True):
            _add(figures, f"{count}", "job", measured.jobs)
    return [Row(name, values, None, bare[name]) for name, values in found.items()]


async def _on_both(bench: Bench, plan: Plan) -> tuple[Measurements, Measurements]:
    """Measure a new server of Askback, and the floor."""
    with bench.database() as url, bench.server(url) as server:
        found = await measure(server, plan)
    with servers.floor() as server:
        return found, await measure(server, plan)


def _add(figures: Figures, name: str, what: str, window: Window | None) -> None:
    """Add the figures of a closed loop of trips or jobs."""
    assert window is not None
    figures[f"{what}s/s"][name] = window.count / window.seconds
    used = (window.server_cpu + window.db_cpu) / window.count
    figures[f"CPU µs a {what}, server and database"][name] = used
    figures[f"ms a {what}: median"][name] = statistics.median(window.times)
    figures[f"ms a {what}: p99"][name] = percentile(window.times, 99)


async def finished(bench: Bench) -> Sequence[Row]:
    """10 thousand, 100 thousand and 1 million finished jobs: trips beside them, idle CPU, disk."""
    each = Target("growth", 1.1)
    targets = {
        "CPU µs a trip, server and database": each,
        "ms a trip alone: median": each,
        "idle: % of a CPU": Target("growth", 1.2),
        "bytes on disk each": each,
    }
    found: Figures = defaultdict(dict)
    stored = 0
    with bench.database() as url:
        for name, count in bench.sizes(10_000, 100_000, 1_000_000).items():
            before = await _bytes(bench, url)
            await seeding.seed(url, seeding.write_finished, count - stored)
            found["bytes on disk each"][name] = (await _bytes(bench, url) - before) / (count - stored)
            stored = count
            await _beside(bench, url, name, found)
            bench.say(case="finished", jobs=count, **{row: values[name] for row, values in found.items()})
    return [Row(row, values, targets.get(row)) for row, values in found.items()]


async def waiting(bench: Bench) -> Sequence[Row]:
    """1,000, 100,000 and 1 million jobs that wait: memory after a start, trips beside them, disk."""
    beside = Target("growth", 1.3)
    targets = {
        "KiB of memory each": Target("value", 1),
        "CPU µs a trip, server and database": beside,
        "ms a trip alone: median": beside,
        "bytes on disk each": Target("growth", 1.1),
    }
    found: Figures = defaultdict(dict)
    stored = 0
    with bench.database() as url:
        empty = await _memory_of_start(bench, url)
        for name, count in bench.sizes(1_000, 100_000, 1_000_000).items():
            before = await _bytes(bench, url)
            await seeding.seed(url, seeding.write_waiting, count - stored)
            found["bytes on disk each"][name] = (await _bytes(bench, url) - before) / (count - stored)
            stored = count
            found["KiB of memory each"][name] = (await _memory_of_start(bench, url) - empty) / count
            await _beside(bench, url, name, found)
            bench.say(case="waiting", jobs=count, **{row: values[name] for row, values in found.items()})
    return [Row(row, values, targets.get(row)) for row, values in found.items()]


async def parked(bench: Bench) -> Sequence[Row]:
    """1,000 and 100,000 jobs asked by calls: memory of each, at once and after a rest, and to ask one."""
    found: Figures = defaultdict(dict)
    with bench.database() as url, bench.server(url) as server:
        people = Waiting(server.address)
        try:
            await people.add(100)  # warms up
            empty, added = memory(server.pid), 0
            for name, count in bench.sizes(1_000, 100_000).items():
                used, began = sum(cpu(server.pid)), time.perf_counter()
                await people.add(count - added)
                seconds = time.perf_counter() - began
                found["KiB each, at once"][name] = (memory(server.pid) - empty) / count
                each = (sum(cpu(server.pid)) - used) / (count - added)
                found["server CPU µs to create one"][name] = each
                found["created/s"][name] = (count - added) / seconds
                added = count
                await asyncio.sleep(REST_S * min(1.0, 20 * bench.scale))
                found["KiB each, after a rest"][name] = (memory(server.pid) - empty) / count
                bench.say(case="parked", jobs=count, **{row: v[name] for row, v in found.items()})
        finally:
            await people.close()
    targets = {"KiB each, after a rest": Target("value", 1)}
    return [Row(row, values, targets.get(row)) for row, values in found.items()]


async def _memory_of_start(bench: Bench, url: str) -> float:
    """KiB of a server that has run on this database for a while."""
    with bench.server(url) as server:
        await asyncio.sleep(3)
        return memory(server.pid)


async def _beside(bench: Bench, url: str, name: str, found: Figures) -> None:
    """The cost of trips on a database that has something in it, and of a server without work."""
    with bench.server(url) as server:
        await _settle(server)
        used = sum(cpu(server.pid))
        await asyncio.sleep(IDLE_S)
        found["idle: % of a CPU"][name] = (sum(cpu(server.pid)) - used) / IDLE_S / 10_000
    windows = [await _window(bench, url) for _ in range(WINDOWS)]
    for row in windows[0]:
        found[row][name] = statistics.median(window[row] for window in windows)


async def _settle(server: RunningServer) -> None:
    """Wait until the server has done what it does after a start, such as to count the hours of new events."""
    for _ in range(SETTLING_S):
        used = sum(cpu(server.pid))
        await asyncio.sleep(1)
        if sum(cpu(server.pid)) - used < QUIET_US:
            return


async def _window(bench: Bench, url: str) -> dict[str, float]:
    with bench.server(url) as server:
        measured = await measure(server, Plan(max(2.0, bench.seconds / 2), jobs=False))
    loaded = measured.loaded
    assert loaded is not None
    # The workers have left their jobs: the next workers would get them.
    left = sa.delete(tables.jobs).where(tables.jobs.c.job_type.startswith("bench."))
    await on_database(url, lambda connection: connection.execute(left))
    return {
        "CPU µs a trip, server and database": (loaded.server_cpu + loaded.db_cpu) / loaded.count,
        "ms a trip alone: median": statistics.median(measured.alone),
        "trips/s": loaded.count / loaded.seconds,
    }


async def _bytes(bench: Bench, url: str) -> int:
    return sum((await sizes_on_disk(bench.kind, url)).values())
