"""Many deadlines that pass in one instant."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import methodcaller

import grpc
import sqlalchemy as sa

from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.bench import seeding
from tests.bench.full.frame import Bench, on_database
from tests.bench.full.rows import Row, Target
from tests.bench.full.viewers import Clients
from tests.bench.processes import cpu
from tests.bench.servers import RunningServer

START_S = 12.0
"""Seconds until the deadlines, for the server's start and for calls before them."""
PATIENCE_S = 120.0
PAUSE_S = 0.05
"""Between calls."""
MORE_S = 0.5
"""Seconds after the deadlines in which calls count in any case, for few deadlines."""


async def deadlines(bench: Bench) -> Sequence[Row]:
    """100, 1,000 and 10,000 deadlines in one instant: when the last has passed, and calls beside them."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for name, count in bench.sizes(100, 1_000, 10_000).items():
        with bench.database() as url:
            await seeding.seed(url, seeding.write_timed, count)
            at = datetime.now(UTC) + timedelta(seconds=START_S)
            moved = sa.update(tables.prompts).values(timeout_at=at)
            await on_database(url, methodcaller("execute", moved))
            with bench.server(url) as server:
                async with Clients(server) as clients:
                    calls, refused, used = await _call_until_closed(server, clients, url, at)
            late = [(closed - at).total_seconds() for closed in await on_database(url, _closing_times)]
        assert len(late) == count
        assert min(late) >= 0
        found["s late: median"][name] = statistics.median(late)
        found["s late: the last"][name] = max(late)
        before = [took for begun, took in calls if begun + took < at.timestamp()]
        end = at.timestamp() + max(MORE_S, *late)
        beside = [took for begun, took in calls if begun + took >= at.timestamp() and begun < end]
        found["ms a call before: median"][name] = 1000 * statistics.median(before)
        found["ms a call beside: median"][name] = 1000 * statistics.median(beside)
        found["ms a call beside: the longest"][name] = 1000 * max(beside)
        found["a call beside / before"][name] = statistics.median(beside) / statistics.median(before)
        found["calls refused"][name] = refused
        found["CPU µs a deadline, server and database"][name] = used / count
        bench.say(case="deadlines", prompts=count, **{row: values[name] for row, values in found.items()})
    targets = {
        "s late: the last": Target("value", 2),
        "a call beside / before": Target("value", 2),
        "calls refused": Target("value", 0),
    }
    return [Row(row, values, targets.get(row)) for row, values in found.items()]


async def _call_until_closed(
    server: RunningServer, clients: Clients, url: str, at: datetime
) -> tuple[list[tuple[float, float]], int, float]:
    """Calls at a fixed pace, from now until the prompts with this deadline are closed. Returns when each
    began and how long it took, the number of refused ones, and the CPU µs since the deadline."""
    calls: list[tuple[float, float]] = []
    refused = 0

    async def one(number: int) -> None:
        nonlocal refused
        began, started = time.time(), time.perf_counter()
        try:
            await clients.ask(number)
        except grpc.aio.AioRpcError:
            refused += 1
        calls.append((began, time.perf_counter() - started))

    async def pace() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(PATIENCE_S / PAUSE_S)):
                tasks.create_task(one(number))
                await asyncio.sleep(PAUSE_S)
                if is_over.is_set():
                    return

    is_over = asyncio.Event()
    pacing = asyncio.create_task(pace())
    await asyncio.sleep(at.timestamp() - time.time())
    pids = [pid for pid in (server.pid, server.db_pid) if pid]
    used = sum(cpu(*pids))
    database = await Database.open(url)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await database._dialect.run(_count_open):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    finally:
        await database.close()
    used = sum(cpu(*pids)) - used
    await asyncio.sleep(MORE_S)
    is_over.set()
    await pacing
    return calls, refused, used


def _count_open(connection: sa.Connection) -> int:
    open_ones = sa.select(sa.func.count()).where(
        tables.prompts.c.timeout_at.is_not(None), tables.prompts.c.responded_at.is_(None)
    )
    return int(connection.execute(open_ones).scalar_one())


def _closing_times(connection: sa.Connection) -> list[datetime]:
    times = sa.select(tables.prompts.c.responded_at).where(tables.prompts.c.timeout_at.is_not(None))
    return list(connection.execute(times).scalars())
