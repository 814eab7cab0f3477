"""`python -m tests.bench.waiting`: what jobs that wait for people cost. One line of JSON per case.

Each server gets jobs with an open prompt by calls, until the counts of `--jobs` wait. At each count: the
memory of the server for each added job, at once and after a rest; the trips of other jobs beside them; and
answers to jobs that have just asked and to those that have rested. At the end, the bytes on disk for each
job, by table and index. `--against` names a folder with another version of the `askback_server` package,
which is measured first in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from askback.v1 import hitl_service_pb2, hitl_service_pb2_grpc, job_service_pb2, job_service_pb2_grpc
from askback_server.storage import tables
from askback_server.storage.database import Database
from askback_server.storage.migrate import upgrade
from tests.bench import messages
from tests.bench.drive import Measurements, Plan, measure
from tests.bench.processes import cpu, memory
from tests.bench.servers import SERVE, RunningServer, serving
from tests.bench.streams import open_channels
from tests.support.postgres import PostgresServer
from tests.support.requests import RESPOND, answer

IN_FLIGHT = 64
CHANNELS = 4
ANSWERS = 200
"""Answers of each kind, one at a time."""
INPUT_JSON = '{"order": 4711, "amount": "129.90", "currency": "EUR", "reason": "arrived broken", "photos": 3}'

SIZES = {
    "sqlite": "SELECT m.type = 'index', d.name, sum(d.pgsize) FROM dbstat d"
    " JOIN sqlite_master m ON m.name = d.name GROUP BY d.name",
    "postgres": "SELECT c.relkind = 'i', c.relname, pg_table_size(c.oid) FROM pg_class c"
    " WHERE c.relkind IN ('r', 'i') AND c.relnamespace = 'public'::regnamespace",
}
"""Whether it is an index, the name and the bytes of each table and index."""


class Waiting:
    """The jobs that wait at a server, and calls to it."""

    def __init__(self, address: str) -> None:
        self._channels = open_channels(address, CHANNELS)
        self._jobs = [job_service_pb2_grpc.JobServiceStub(channel) for channel in self._channels]
        self._hitl = hitl_service_pb2_grpc.HitlServiceStub(self._channels[0])
        self.prompts: list[Any] = []

    async def add(self, count: int) -> None:
        """Create jobs that wait, some at a time."""
        numbers = iter(range(len(self.prompts), len(self.prompts) + count))

        async def lane(number: int) -> None:
            for n in numbers:
                self.prompts.append(await self.create(n, self._jobs[number % CHANNELS]))

        await asyncio.gather(*(lane(number) for number in range(IN_FLIGHT)))

    async def create(self, number: int, stub: Any = None) -> Any:
        """Create a job with its prompt. Returns what an answer needs of the prompt."""
        content = messages.content("form")
        content.body += f" ({number})"  # contents differ, so that caches of equal contents do not help
        request = job_service_pb2.CreateJobRequest(job_type="waiting", prompt=content, input_json=INPUT_JSON)
        made = await (stub or self._jobs[0]).CreateJob(request)
        prompt = made.prompt
        return hitl_service_pb2.AnswerPromptRequest(prompt_id=prompt.prompt_id, revision=prompt.revision)

    async def answer(self, request: Any) -> float:
        """Answer a prompt. Returns the milliseconds."""
        request = answer(request, "1", RESPOND, values_json=messages.VALUES_JSON)
        started = time.perf_counter()
        await self._hitl.AnswerPrompt(request)
        return (time.perf_counter() - started) * 1000

    def take_rested(self, count: int) -> list[Any]:
        """Remove some of the prompts, from among all."""
        step = len(self.prompts) // count
        taken = self.prompts[::step][:count]
        del self.prompts[::step]
        return taken

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close(None)


async def run(name: str, url: str, server: str, counts: Sequence[int], rest: float) -> None:
    """Measure one server on an empty database."""
    await asyncio.to_thread(upgrade, url)
    settings = {"ASKBACK_DB": url} | ({"PYTHONPATH": server} if server else {})
    about = {"database": name, "server": server or "here"}
    with (
        tempfile.TemporaryDirectory(prefix="askback-bench-") as folder,
        serving(SERVE, settings, Path(folder)) as (pid, address),
    ):
        running = RunningServer("waiting", address, pid)
        waiting = Waiting(address)
        try:
            await _figures(running, url)  # warms up
            say({**about, "jobs": 0, "memory_mib": memory(pid) / 1024, **await _figures(running, url)})
            for count in counts:
                added = count - len(waiting.prompts)
                stored, empty = await sizes(name, url), memory(pid)
                began, used = time.perf_counter(), cpu(pid)[0]
                await waiting.add(added)
                found = {
                    "created_per_s": added / (time.perf_counter() - began),
                    "cpu_us_a_job": (cpu(pid)[0] - used) / added,
                    "kib_each": (memory(pid) - empty) / added,
                }
                await asyncio.sleep(rest)
                found["kib_each_rested"] = (memory(pid) - empty) / added
                disk = _disk(stored, await sizes(name, url), added)
                found |= await _figures(running, url)
                found |= await _answers(waiting, pid)
                say({**about, "jobs": count, **found, "memory_mib": memory(pid) / 1024})
            say({**about, "jobs": count, **disk})
        finally:
            await waiting.close()


async def _figures(server: RunningServer, url: str) -> dict[str, float]:
    """Trips of jobs that do not wait for long. Deletes the jobs that the workers have left: the next workers
    would get them."""
    found: Measurements = await measure(server, Plan(seconds=3.0, jobs=False))
    left = sa.delete(tables.jobs).where(tables.jobs.c.job_type != "waiting")
    await _on(url, lambda connection: connection.execute(left))
    assert found.loaded is not None
    loaded = found.loaded
    return {
        "trip_p50_ms": statistics.median(found.alone),
        "trips_per_s": loaded.count / loaded.seconds,
        "cpu_us_a_trip": (loaded.server_cpu + loaded.db_cpu) / loaded.count,
    }


async def _answers(waiting: Waiting, pid: int) -> dict[str, float]:
    """Answers to prompts that have just been asked, and to those that have waited, in turn."""
    times: dict[str, list[float]] = {"new": [], "rested": []}
    used = {"new": 0.0, "rested": 0.0}
    rested = waiting.take_rested(ANSWERS)
    fresh = [await waiting.create(-n) for n in range(ANSWERS)]
    for at in range(0, ANSWERS, 20):
        for kind, requests in (("rested", rested), ("new", fresh)):
            before = cpu(pid)[0]
            times[kind] += [await waiting.answer(request) for request in requests[at : at + 20]]
            used[kind] += cpu(pid)[0] - before
    return {f"answer_{kind}_p50_ms": statistics.median(found) for kind, found in times.items()} | {
        f"answer_{kind}_cpu_us": used[kind] / ANSWERS for kind in used
    }


async def sizes(name: str, url: str) -> dict[tuple[bool, str], int]:
    """Bytes by (is an index, name)."""
    rows = await _on(url, lambda connection: connection.exec_driver_sql(SIZES[name]).all())
    return {(bool(index), table): int(size) for index, table, size in rows}


async def _on(url: str, work: Callable[[sa.Connection], Any]) -> Any:
    database = await Database.open(url)
    try:
        return await database._dialect.run(work)
    finally:
        await database.close()


def _disk(
    before: dict[tuple[bool, str], int], after: dict[tuple[bool, str], int], count: int
) -> dict[str, Any]:
    """Bytes on disk of each of `count` jobs: all, that of indexes, and each part of it."""
    each = {key: (size - before.get(key, 0)) / count for key, size in after.items()}
    parts = sorted(((size, *key) for key, size in each.items() if size >= 1), reverse=True)
    return {
        "bytes_each": round(sum(each.values())),
        "of_indexes": round(sum(size for (is_index, _), size in each.items() if is_index)),
        "parts": {part: round(size) for size, _, part in parts},
    }


def say(found: dict[str, Any]) -> None:
    """Print a case."""
    print(json.dumps({k: round(v, 2) if isinstance(v, float) else v for k, v in found.items()}), flush=True)


@contextmanager
def _database(name: str) -> Iterator[str]:
    """An empty database."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory(prefix="askback-bench-") as folder:
            yield f"sqlite+aiosqlite:///{folder}/waiting.db"
        return
    server = PostgresServer(fsync=True)
    server.start()
    try:
        yield server.create_database()
    finally:
        server.stop()


async def _run_all(arguments: argparse.Namespace) -> None:
    # One event loop for all: grpc.aio binds itself to the first loop that uses it.
    for name in ("sqlite", "postgres") if arguments.only is None else (arguments.only,):
        for server in dict.fromkeys((arguments.against, "")):
            with _database(name) as url:
                await run(name, url, server, sorted(arguments.jobs), arguments.rest)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.waiting", description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1_000, 100_000], help="[1000 100000]")
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="one of the databases [both]")
    parser.add_argument("--rest", type=float, default=75.0, help="seconds of rest before answers [75]")
    parser.add_argument("--against", default="", metavar="FOLDER", help="measure this version first")
    asyncio.run(_run_all(parser.parse_args()))


if __name__ == "__main__":
    main()
