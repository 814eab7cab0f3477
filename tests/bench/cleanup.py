"""The effect of a large clean-up on latency: `python -m tests.bench.cleanup`.

Fills a database with finished jobs (each with an answered prompt and its log), measures trips like the
bench, lets the retention of all those jobs expire, and measures again while the sweep deletes them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import PromptState
from askback_server.storage import tables
from askback_server.storage.database import Database
from askback_server.storage.migrate import upgrade
from tests.bench.drive import Measurements, Plan, measure
from tests.bench.report import percentile
from tests.bench.servers import SERVE, RunningServer, serving
from tests.support.postgres import PostgresServer
from tests.support.rows import as_closed, creation, new_job, new_prompt, submission

LATER = datetime(2999, 1, 1, tzinfo=UTC)
IDS = {"job": "7000", "prompt": "7001"}
CHUNK = 50_000


def main() -> int:
    """Measure and print. Returns exit code 0 if the sweep was running during the whole measurement."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cleanup", description=__doc__)
    parser.add_argument(
        "--jobs", type=int, default=100_000, help="number of finished jobs to delete [100,000]"
    )
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="seconds of each loop with 64 in flight [8]"
    )
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="one of the databases [both]")
    parser.add_argument(
        "--to-the-end", action="store_true", help="wait until all are deleted, and print the time"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the servers too
    names = ("sqlite", "postgres") if arguments.only is None else (arguments.only,)
    # One event loop for all: grpc.aio binds itself to the first loop that uses it.
    return asyncio.run(_measure_all(names, arguments))


async def _measure_all(names: Sequence[str], arguments: argparse.Namespace) -> int:
    at_work = [await _measure_database(name, arguments) for name in names]
    return 0 if all(at_work) else 1


async def _measure_database(name: str, arguments: argparse.Namespace) -> bool:
    with _database(name) as url, tempfile.TemporaryDirectory(prefix="askback-bench-") as folder:
        await asyncio.to_thread(upgrade, url)
        started = time.monotonic()
        await _fill(url, arguments.jobs)
        filled = time.monotonic() - started
        plan = Plan(seconds=arguments.seconds, jobs=False)
        quiet = await _serve(url, Path(folder), plan)
        await _on(url, _run_out)
        left: list[int] = []
        busy = await _serve(url, Path(folder), plan, left, arguments.to_the_end)
    for kind, found in (("quiet", quiet), ("sweeping", busy)):
        print(json.dumps({"server": name, "kind": kind, **_figures(found)}), flush=True)
    print(_ratios(name, arguments.jobs, filled, _figures(quiet), _figures(busy), left), flush=True)
    return bool(left[1])


def _run_out(connection: sa.Connection) -> None:
    """Expire the retention of the filled jobs. Delete the jobs that the first measurement left open, whose
    prompts the consoles of the second would be shown."""
    past = datetime.now(UTC) - timedelta(hours=1)
    connection.execute(sa.delete(tables.jobs).where(tables.jobs.c.purge_at.is_(None)))
    filled = sa.update(tables.jobs).where(tables.jobs.c.purge_at == LATER)
    connection.execute(filled.values(purge_at=past))


@contextmanager
def _database(name: str) -> Iterator[str]:
    """Create an empty database."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory(prefix="askback-bench-") as folder:
            yield f"sqlite+aiosqlite:///{folder}/bench.db"
        return
    server = PostgresServer(fsync=True)
    server.start()
    try:
        yield server.create_database()
    finally:
        server.stop()


async def _on(url: str, work: Any) -> Any:
    database = await Database.open(url)
    try:
        return await database._dialect.run(work)
    finally:
        await database.close()


def _id(kind: str, postgres: bool) -> str:
    if postgres:
        return f"(lpad(to_hex(n), 8, '0') || '-0000-{IDS[kind]}-8000-000000000000')::uuid"
    return f"printf('%08x', n) || '-0000-{IDS[kind]}-8000-000000000000'"


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
    finally:
        await database.close()


def _copy(connection: sa.Connection, template: str, first: int, last: int, postgres: bool) -> None:
    """Copy the template's rows once per number, with new ids."""
    numbers = (
        f"generate_series({first}, {last}) AS numbers(n)"
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


async def _serve(
    url: str, folder: Path, plan: Plan, left: list[int] | None = None, to_the_end: bool = False
) -> Measurements:
    """Measure a server on the database. Appends the number of due jobs before and after to `left`."""
    settings = {"ASKBACK_DB": url, "ASKBACK_SWEEP_INTERVAL": "86400"}
    if left is not None:
        left.append(await _on(url, _count_due))
    started = time.monotonic()
    with serving([*SERVE], settings, folder) as (pid, address):
        found = await measure(RunningServer("cleanup", address, pid), plan)
        if left is not None:
            left += [await _on(url, _count_due), round((time.monotonic() - started) * 1000)]
            while to_the_end and await _on(url, _count_due):  # noqa: ASYNC110
                await asyncio.sleep(1)
            left.append(round((time.monotonic() - started) * 1000))
    return found


def _count_due(connection: sa.Connection) -> int:
    due = sa.select(sa.func.count(tables.jobs.c.purge_at)).where(tables.jobs.c.purge_at <= datetime.now(UTC))
    found: int = connection.execute(due).scalar_one()
    return found


def _figures(found: Measurements) -> dict[str, float]:
    assert found.loaded is not None
    loaded = found.loaded
    return {
        "alone_p50_ms": statistics.median(found.alone),
        "alone_p99_ms": percentile(found.alone, 99),
        "trips_per_s": loaded.count / loaded.seconds,
        "loaded_p50_ms": statistics.median(loaded.times),
        "loaded_p99_ms": percentile(loaded.times, 99),
    }


def _ratios(
    name: str, jobs: int, filled: float, quiet: dict[str, float], busy: dict[str, float], left: list[int]
) -> str:
    purged, seconds = left[0] - left[1], left[2] / 1000
    ratios = ", ".join(f"{figure} {busy[figure] / quiet[figure]:.2f}" for figure in quiet)
    text = f"{name}: {jobs:,} jobs filled in {filled:.0f} s; sweeping/quiet: {ratios}; {purged:,} deleted"
    text += f" in {seconds:.0f} s meanwhile, {left[1]:,} were left"
    return text + (f"; all gone after {left[3] / 1000:.0f} s" if left[3] > left[2] + 1000 else "")


if __name__ == "__main__":
    sys.exit(main())
