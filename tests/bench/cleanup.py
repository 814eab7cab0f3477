"""The effect of a large clean-up on others, and what it costs: `python -m tests.bench.cleanup`.

Fills a database with finished jobs (each with an answered prompt and its log). While trips go on, one at a
time and then with 64 in flight, the retention of some jobs ends again and again. Trips while the sweep
deletes jobs are compared with those in the pauses between: both come in turns of less than a second, so
noise of the machine meets both. In the end the retention of all other jobs ends, and nothing else is done.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import PromptState
from askback_server.storage import tables
from askback_server.storage.database import Database
from askback_server.storage.migrate import upgrade
from askback_server.storage.settings import COUNTED, put_setting
from tests.bench.drive import time_trips
from tests.bench.processes import cpu
from tests.bench.report import percentile
from tests.bench.servers import SERVE, RunningServer, postmaster_of, serving
from tests.support.postgres import PostgresServer
from tests.support.rows import as_closed, creation, new_job, new_prompt, submission

LATER = datetime(2999, 1, 1, tzinfo=UTC)
SPREAD = 2_654_435_761
IDS = {"job": "7000", "prompt": "7001"}
CHUNK = 50_000
PAUSE_SECONDS = 0.5
TURN_JOBS = 100
"""Jobs whose retention ends at once: they are deleted within about a second beside trips."""
POLL_SECONDS = 0.05
EXPIRED = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%f', 'now', '-2 days', (rowid * 0.01) || ' seconds') || '000+00:00'",
    "postgresql": "now() - interval '2 days' + interval '10 ms' "
    "* ('x' || left(job_id::text, 8))::bit(32)::int",
}
"""The end of the retention of a filled job: 10 ms after that of the one before."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cleanup", description=__doc__)
    parser.add_argument(
        "--jobs", type=int, default=100_000, help="number of finished jobs to delete [100,000]"
    )
    parser.add_argument("--rounds", type=int, default=40, help="turns of pause and clean-up [40]")
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="one of the databases [both]")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the servers too
    names = ("sqlite", "postgres") if arguments.only is None else (arguments.only,)
    # One event loop for all: grpc.aio binds itself to the first loop that uses it.
    asyncio.run(_measure_all(names, arguments))
    return 0


async def _measure_all(names: Sequence[str], arguments: argparse.Namespace) -> None:
    for name in names:
        with _database(name) as (url, db_pid), tempfile.TemporaryDirectory(prefix="askback-bench-") as folder:
            await asyncio.to_thread(upgrade, url)
            await _fill(url, arguments.jobs)
            settings = {"ASKBACK_DB": url, "ASKBACK_SWEEP_INTERVAL": "0.1"}
            database = await Database.open(url)
            try:
                for in_flight in (1, 64, 0):
                    await database._dialect.run(_delete_open)
                    with serving([*SERVE], settings, Path(folder)) as (pid, address):
                        server = RunningServer(name, address, pid, db_pid)
                        if in_flight:
                            await _measure_effect(server, database, in_flight, arguments.rounds)
                        else:
                            await _measure_cost(server, database, arguments.jobs)
            finally:
                await database.close()


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


async def _measure_effect(server: RunningServer, database: Database, in_flight: int, rounds: int) -> None:
    turns = _Turns()
    trips = await time_trips(server, in_flight, lambda: turns.run(database, rounds, TURN_JOBS))
    found = [_figures(trips, spans) for spans in (turns.quiet, turns.busy)]
    for kind, figures in zip(("quiet", "sweeping"), found, strict=True):
        line = {"server": server.target, "in_flight": in_flight, "kind": kind, **figures}
        print(json.dumps(line), flush=True)
    ratios = ", ".join(f"{name} {found[1][name] / value:.2f}" for name, value in found[0].items())
    rate = turns.deleted / sum(end - begin for begin, end in turns.busy)
    print(f"{server.target}, {in_flight} in flight: sweeping/quiet: {ratios}; {rate:,.0f} jobs/s", flush=True)


def _figures(trips: list[tuple[float, float]], spans: list[tuple[float, float]]) -> dict[str, float]:
    times = [
        (ended - started) * 1000
        for started, ended in trips
        if any(begin <= started and ended <= end for begin, end in spans)
    ]
    ends = sum(any(begin <= ended <= end for begin, end in spans) for _, ended in trips)
    return {
        "p50_ms": percentile(times, 50),
        "p99_ms": percentile(times, 99),
        "trips_per_s": ends / sum(end - begin for begin, end in spans),
    }


async def _measure_cost(server: RunningServer, database: Database, jobs: int) -> None:
    pids = [server.pid, *([server.db_pid] if server.db_pid else [])]
    await database._dialect.run(partial(_run_out, jobs=jobs))
    due, started, before = await _count_due(database), time.perf_counter(), cpu(*pids)
    await _wait_for_sweep(database)
    seconds = time.perf_counter() - started
    used = [(after - was) / due for after, was in zip(cpu(*pids), before, strict=True)]
    each = " + ".join(f"{us:.0f}" for us in used)
    print(
        f"{server.target}, alone: {due:,} jobs in {seconds:.1f} s, {due / seconds:,.0f} jobs/s; "
        f"CPU µs a job, server{' + db' if server.db_pid else ''}: {each}",
        flush=True,
    )


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


@contextmanager
def _database(name: str) -> Iterator[tuple[str, int]]:
    """Create an empty database. Returns its URL, and the id of its process if it has one."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory(prefix="askback-bench-") as folder:
            yield f"sqlite+aiosqlite:///{folder}/bench.db", 0
        return
    server = PostgresServer(fsync=True)
    server.start()
    try:
        yield server.create_database(), postmaster_of(server)
    finally:
        server.stop()


def _id(kind: str, postgres: bool) -> str:
    """An id by number: they rise, and their ends differ, as those of the service."""
    end = f"(n * {SPREAD}) % {1 << 48}"
    if postgres:
        digits = f"lpad(to_hex(n), 8, '0') || '-0000-{IDS[kind]}-8000-' || lpad(to_hex({end}), 12, '0')"
        return f"({digits})::uuid"
    return f"printf('%08x-0000-{IDS[kind]}-8000-%012x', n, {end})"


async def _fill(url: str, count: int) -> None:
    """Write one finished job like the server, and copy it with SQL."""
    job = new_job(
        state=JobState.COMPLETED, ready_at=None, completed_at=datetime.now(UTC), rounds=1, version=5
    )
    job = replace(job, result_json='{"done":true}', purge_at=LATER)
    prompt = as_closed(new_prompt(job, submissions=1), PromptState.ANSWERED)
    write = creation(job, prompt)
    write.submissions.append(submission(prompt))
    write.events = [replace(write.events[0], seq=seq) for seq in range(1, 6)]
    database = await Database.open(url)
    try:
        lost = (await database.jobs.write([write])).lost
        assert not lost, lost
        postgres = url.startswith("postgresql")
        for first in range(1, count, CHUNK):
            last = min(first + CHUNK, count) - 1
            copies = partial(_copy, template=job.job_id, first=first, last=last, postgres=postgres)
            await database._dialect.run(copies)
        if postgres:
            await database._dialect.run(lambda c: c.exec_driver_sql("ANALYZE"))
        await database._dialect.run(_count_log)
    finally:
        await database.close()


def _count_log(connection: sa.Connection) -> None:
    """Mark the log as counted: the roll-up reads all of it once, which is not what is measured."""
    newest = tables.events.c.xid.desc(), tables.events.c.id.desc()
    last = connection.execute(sa.select(tables.events.c.xid, tables.events.c.id).order_by(*newest).limit(1))
    xid, id = last.one()
    put_setting(connection, COUNTED, f"{xid}:{id}:")


def _copy(connection: sa.Connection, template: str, first: int, last: int, postgres: bool) -> None:
    """Copy the template's rows once per number, with new ids."""
    numbers = (
        f"generate_series({first}::bigint, {last}) AS numbers(n)"
        if postgres
        else f"(WITH RECURSIVE r(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM r WHERE n < {last})"
        " SELECT n FROM r) AS numbers"
    )
    for table in (tables.jobs, tables.prompts, tables.answers, tables.events):
        left_out = {"id"} | ({"xid"} if postgres else set())
        columns = [c.name for c in table.columns if c.name not in left_out]
        own = {"job_id": _id("job", postgres), "interaction_id": _id("prompt", postgres)}
        if table is tables.events:
            own["prompt_id"] = "t.prompt_id"
        values = ", ".join(own.get(c, f't."{c}"') for c in columns)
        names = ", ".join(f'"{c}"' for c in columns)
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {table.name} t, {numbers} "
            f"WHERE t.job_id = '{template}'"
        )


if __name__ == "__main__":
    sys.exit(main())
