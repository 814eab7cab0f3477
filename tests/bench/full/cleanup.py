"""The effect of a large clean-up on others, and what it costs.

While trips go on, one at a time and then with 64 in flight, the retention of some of many finished jobs ends
again and again. Trips while the sweep deletes jobs are compared with those in the pauses between: both come
in turns of less than a second, so noise of the machine meets both. In the end the retention of all other jobs
ends, and nothing else is done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa

from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.bench import seeding
from tests.bench.drive import time_trips
from tests.bench.full.frame import Bench, on_database
from tests.bench.full.rows import Row, Target
from tests.bench.processes import cpu
from tests.bench.report import percentile
from tests.bench.servers import RunningServer

LATER = datetime(2999, 1, 1, tzinfo=UTC)
JOBS = 100_000
ROUNDS = 40
"""Turns of pause and clean-up."""
PAUSE_SECONDS = 0.5
TURN_JOBS = 100
"""Jobs whose retention ends at once: they are deleted within about a second beside trips."""
POLL_SECONDS = 0.05
SLOWED = Target("growth", 1.3)
"""How much slower trips may be beside the sweep."""
EXPIRED = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%f', 'now', '-2 days', (rowid * 0.01) || ' seconds') || '000+00:00'",
    "postgresql": "created_at - interval '2 days'",
}
"""The end of the retention of a filled job: another one for each job, two days ago."""


async def cleanup(bench: Bench) -> Sequence[Row]:
    """The deletion of 100,000 expired jobs: trips beside it, and its own cost."""
    rounds = max(2, round(ROUNDS * min(1.0, 10 * bench.scale)))
    jobs = max(2 * rounds * TURN_JOBS + TURN_JOBS, round(JOBS * bench.scale))
    rows: list[Row] = []
    with bench.database() as url:
        await seeding.seed(url, seeding.write_finished, jobs)
        later = sa.update(tables.jobs).values(purge_at=LATER)
        await on_database(url, lambda connection: connection.execute(later))
        database = await Database.open(url)
        try:
            for in_flight in (1, 64, 0):
                await database._dialect.run(_delete_open)
                with bench.server(url, ASKBACK_SWEEP_INTERVAL="0.1") as server:
                    if in_flight:
                        rows += await _measure_effect(server, database, in_flight, rounds)
                    else:
                        rows += await _measure_cost(server, database, jobs)
                bench.say(case="cleanup", in_flight=in_flight, **{row.name: dict(row.values) for row in rows})
        finally:
            await database.close()
    return rows


@dataclass
class _Turns:
    """The times of pauses and clean-ups, as the client has timed them."""

    quiet: list[tuple[float, float]] = field(default_factory=list)
    busy: list[tuple[float, float]] = field(default_factory=list)
    deleted: int = 0

    async def run(self, database: Database, rounds: int, jobs: int) -> None:
        """Take turns."""
        for _ in range(rounds):
            began = time.perf_counter()
            while time.perf_counter() < began + PAUSE_SECONDS:
                await _count_due(database)  # as in the other turns
                await asyncio.sleep(POLL_SECONDS)
            self.quiet.append((began, time.perf_counter()))
            await database._dialect.run(partial(_run_out, jobs=jobs))
            began = time.perf_counter()
            await _wait_for_sweep(database)
            self.busy.append((began, time.perf_counter()))
            self.deleted += jobs


async def _measure_effect(
    server: RunningServer, database: Database, in_flight: int, rounds: int
) -> list[Row]:
    turns = _Turns()
    trips = await time_trips(server, in_flight, lambda: turns.run(database, rounds, TURN_JOBS))
    quiet, busy = (_figures(trips, spans) for spans in (turns.quiet, turns.busy))
    what = f"{in_flight} in flight"
    rows = [
        Row(f"{what}: {name}", {"quiet": quiet[name], "sweeping": busy[name]}, target)
        for name, target in (("ms: median", SLOWED), ("ms: p99", None), ("trips/s", None))
    ]
    rate = turns.deleted / sum(end - begin for begin, end in turns.busy)
    return [*rows, Row(f"{what}: jobs deleted/s", {"sweeping": rate})]


def _figures(trips: list[tuple[float, float]], spans: list[tuple[float, float]]) -> dict[str, float]:
    times = [
        (ended - started) * 1000
        for started, ended in trips
        if any(begin <= started and ended <= end for begin, end in spans)
    ]
    ends = sum(any(begin <= ended <= end for begin, end in spans) for _, ended in trips)
    return {
        "ms: median": percentile(times, 50),
        "ms: p99": percentile(times, 99),
        "trips/s": ends / sum(end - begin for begin, end in spans),
    }


async def _measure_cost(server: RunningServer, database: Database, jobs: int) -> list[Row]:
    pids = [server.pid, *([server.db_pid] if server.db_pid else [])]
    await database._dialect.run(partial(_run_out, jobs=jobs))
    due, started, before = await _count_due(database), time.perf_counter(), sum(cpu(*pids))
    await _wait_for_sweep(database)
    seconds = time.perf_counter() - started
    return [
        Row("alone: jobs deleted/s", {"sweeping": due / seconds}),
        Row("alone: CPU µs a job, server and database", {"sweeping": (sum(cpu(*pids)) - before) / due}),
    ]


def _delete_open(connection: sa.Connection) -> None:
    """Delete the jobs that the measurement before has left open: workers of the next would get them."""
    connection.execute(sa.delete(tables.jobs).where(tables.jobs.c.purge_at.is_(None)))


def _run_out(connection: sa.Connection, jobs: int) -> None:
    """End the retention of some of the filled jobs, in the order of their creation."""
    ids = sa.select(tables.jobs.c.job_id).where(tables.jobs.c.purge_at == LATER)
    oldest = ids.order_by(tables.jobs.c.job_id).limit(jobs).scalar_subquery()
    filled = sa.update(tables.jobs).where(tables.jobs.c.job_id.in_(oldest))
    connection.execute(filled.values(purge_at=sa.literal_column(EXPIRED[connection.dialect.name])))


async def _wait_for_sweep(database: Database) -> None:
    while await _count_due(database):  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)


async def _count_due(database: Database) -> int:
    due = sa.select(sa.func.count(tables.jobs.c.purge_at)).where(tables.jobs.c.purge_at <= datetime.now(UTC))
    found: int = await database._dialect.run(lambda connection: connection.execute(due).scalar_one())
    return found
