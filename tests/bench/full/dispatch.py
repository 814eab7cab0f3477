"""Many kinds of jobs in the queue."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from askback.v1 import worker_service_pb2 as w
from tests.bench import seeding
from tests.bench.client import UnexpectedReply
from tests.bench.full.frame import Bench
from tests.bench.full.rows import Row, Target
from tests.bench.full.workers import RawWorker
from tests.bench.processes import cpu
from tests.bench.servers import RunningServer
from tests.bench.streams import open_channels

JOBS = 20_000
TYPES_EACH = 500
"""Job types of one worker, at most."""
SLOTS = 1_000
"""Jobs that all workers hold at once."""
LEAST_WORKERS = 20
STREAMS = 200
"""Streams that are opened for any number of queues, because to open one costs as much as some jobs. The
workers that are not needed ask for jobs of a namespace without any."""
QUEUES = ((1, 1), (100, 1), (1_000, 1), (1, 100), (1_000, 100))
"""Numbers of types and of namespaces."""
SPREAD = 7
"""Jobs with numbers beside each other in one namespace."""
PATIENCE_S = 120.0
"""After this the rest is left in the queue. A loaded machine leases 300 jobs per second."""


async def dispatch(bench: Bench) -> Sequence[Row]:
    """20,000 queued jobs of 1 to 1,000 types in 1 to 100 namespaces, leased and completed."""
    count = max(2_000, round(JOBS * bench.scale))
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for types, namespaces in QUEUES:
        name = f"{types:,} x {namespaces}"
        varied = {
            "job_type": f"'bench.' || (n % {types})",
            "namespace": f"'ns.' || (n / {SPREAD} % {namespaces})",
        }
        with bench.database() as url:
            # The two jobs of the engine stay in the queue: no worker asks for their namespace.
            await seeding.seed(url, seeding.write_queued, count, varied)
            with bench.server(url) as server:
                await _drain(server, types, namespaces, count - 2, name, found)
        bench.say(case="dispatch", queues=name, **{row: values[name] for row, values in found.items()})
    used = found.pop("CPU µs a job")
    rows = [
        Row(f"CPU µs a job, {what}", {name: used[name] for name in names}, Target("growth", 1.2))
        for what, names in (
            ("by types", ("1 x 1", "100 x 1", "1,000 x 1")),
            ("by namespaces", ("1 x 1", "1 x 100")),
            ("by both", ("1 x 1", "1,000 x 100")),
        )
    ]
    targets = {f"jobs left after {PATIENCE_S:.0f} s": Target("value", 0)}
    return [*rows, *(Row(name, values, targets.get(name)) for name, values in found.items())]


async def _drain(
    server: RunningServer,
    types: int,
    namespaces: int,
    count: int,
    name: str,
    found: dict[str, dict[str, float]],
) -> None:
    """Lease and complete all queued jobs."""
    done = asyncio.Event()
    left = count
    first: dict[tuple[str, str], float] = {}

    def complete(worker: RawWorker, leased: Any) -> None:
        nonlocal left
        job = leased.job
        first.setdefault((job.namespace, job.job_type), time.perf_counter() - began)
        request = w.CompleteJobRequest(job_id=job.job_id, token=leased.token, result_json="1")
        worker.send(complete_job=request)
        left -= 1
        if not left:
            done.set()

    all_types = [f"bench.{number}" for number in range(types)]
    portions = [all_types[at : at + TYPES_EACH] for at in range(0, types, TYPES_EACH)]
    each = max(1, LEAST_WORKERS // namespaces // len(portions))
    needed = namespaces * len(portions) * each
    workers = [
        RawWorker("w", portion, SLOTS // needed, f"ns.{n}", complete)
        for n in range(namespaces)
        for portion in portions
        for _ in range(each)
    ]
    most = [f"bench.{number}" for number in range(TYPES_EACH)]
    workers += [RawWorker("w", most, 1, "idle", complete) for _ in range(STREAMS - needed)]
    channels = open_channels(server.address, 4)
    pids = [pid for pid in (server.pid, server.db_pid) if pid]
    used, began = sum(cpu(*pids)), time.perf_counter()
    running = [asyncio.create_task(worker.run(channels[n % 4])) for n, worker in enumerate(workers)]
    try:
        ended = asyncio.create_task(done.wait())
        await asyncio.wait([ended, *running], timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            if task.done():
                task.result()
        ended.cancel()
        if left == count:
            raise UnexpectedReply(f"no job was leased in {PATIENCE_S:.0f} s")
        found["jobs/s"][name] = (count - left) / (time.perf_counter() - began)
        found["CPU µs a job"][name] = (sum(cpu(*pids)) - used) / (count - left)
        found[f"jobs left after {PATIENCE_S:.0f} s"][name] = left
        found["s until every queue was served"][name] = max(first.values())
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for channel in channels:
            await channel.close(None)
