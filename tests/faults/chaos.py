"""One chaos run: start a cluster, put load on it, inject faults, settle, stop, check the history."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.checker import Bounds, Verdict, judge
from tests.faults.cluster import Cluster, ClusterConfig
from tests.faults.database import PostgreSQL, SQLiteFile
from tests.faults.injector import Injector
from tests.faults.stored import dump

PROGRESS_SECONDS = 10.0
STREAMS, QUEUE = "askback_streams_open", "askback_engine_queue_commands"
"""The metrics that are 0 when no client is connected."""
QUIET_SECONDS = 330.0
"""Time for the remaining jobs to end: after many lost leases a job backs off for up to five minutes."""
MEMORY_BAND = 1.6
"""At the end a replica may use this many times its memory before the faults, plus `MEMORY_ROOM`."""
MEMORY_ROOM = 150 * 1024 * 1024


@dataclass
class Plan:
    """The parameters of a run."""

    seed: int
    seconds: float
    database: str = "postgresql"
    standby: bool = False
    config: ClusterConfig = field(default_factory=ClusterConfig)
    pause: float = 0.5
    """Seconds between two faults, on average."""
    longest: float = 2.0
    """Maximum duration of a fault in seconds."""
    prompts: int = 10**9
    """Stop injecting faults after this many prompts."""
    faults: tuple[str, ...] = ()
    """Inject these faults, evenly spread over the time, instead of random ones."""
    patience: float = QUIET_SECONDS
    """Seconds that the remaining jobs have to end after the last fault."""
    reach: float = 0.0
    """Seconds in which a prompt must reach a console; 0 derives it from the duration of the faults."""


@dataclass
class Outcome:
    """The result of a run."""

    verdict: Verdict
    faults: dict[str, int]
    counts: dict[str, int]
    seconds: float
    folder: Path
    seed: int

    @property
    def line(self) -> str:
        """The summary line that every run ends with."""
        v = self.verdict
        return (
            f"chaos: seed={self.seed} faults={sum(self.faults.values())} prompts={v.prompts} "
            f"answers={v.answers} unknown={v.unknown} violations={len(v.violations)}"
        )


def _discard(_: str) -> None:
    """Discard the text."""


async def run_plan(plan: Plan, folder: Path, log: Callable[[str], None] = _discard) -> Outcome:
    """Do one run. Its history stays in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    database: SQLiteFile | PostgreSQL
    database = SQLiteFile(folder) if plan.database == "sqlite" else PostgreSQL(standby=plan.standby)
    began = time.monotonic()
    async with Cluster(folder, database, plan.config, plan.seed) as cluster:
        injector = Injector(cluster, plan.seed, pause=plan.pause, longest=plan.longest)
        memory = {r.name: r.memory() for r in cluster.replicas}
        progress = asyncio.create_task(_progress(cluster, injector, log))
        try:
            async with injector.restarting_ended_processes():
                await _inject_faults(plan, cluster, injector)
                log("no more faults: waiting for the remaining jobs")
                await _settle(plan, cluster)
            await _stop_replicas(plan, cluster, memory)
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)
        await asyncio.to_thread(dump, database, folder / "stored.1.jsonl")
        counts = cluster.counts
    log("checking the history")
    reach = plan.reach or 6 * plan.longest + 8
    bounds = Bounds(reach=reach, reaped=reach + 5)
    verdict = await asyncio.to_thread(judge, folder, bounds)
    if isinstance(database, SQLiteFile):
        database.path.unlink(missing_ok=True)
    return Outcome(verdict, dict(injector.injected), counts, time.monotonic() - began, folder, plan.seed)


async def _inject_faults(plan: Plan, cluster: Cluster, injector: Injector) -> None:
    if plan.faults:
        await injector.follow(plan.faults, plan.seconds)
        return
    end = time.monotonic() + plan.seconds

    def enough() -> bool:
        all_made = "all_made" in cluster.client._reported
        return time.monotonic() > end or all_made or cluster.counts.get("prompts", 0) >= plan.prompts

    await injector.run(enough)


async def _settle(plan: Plan, cluster: Cluster) -> None:
    """Wait for the jobs to end, read their results on all replicas, and let the participants leave.

    What does not end in time is recorded for the checker.
    """
    write, client = cluster.record.write, cluster.client
    client.order(f"close {plan.patience}")
    if not await client.wait_for("finished", plan.patience + 20):
        write("stuck", party=client.name, what="its jobs")
    # Other replicas and their consoles receive the last commits when the feed polls, which may be late.
    await asyncio.sleep(2)
    client.order("look")
    if not await client.wait_for("looked", 60):
        write("stuck", party=client.name, what="reading")
    for participant in cluster.participants:
        participant.order("leave")
    for participant in cluster.participants:
        code = await participant.wait_for_exit(min(30, plan.patience + 5))
        write("left", party=participant.name, code=code)
        if code is None:
            await participant.kill()


async def _stop_replicas(plan: Plan, cluster: Cluster, memory: dict[str, int]) -> None:
    """Record the replicas' resources, now that no client is connected, and drain them."""
    await _record_resources(plan, cluster, memory)
    for replica in cluster.replicas:
        replica.signal(15)
    for replica in cluster.replicas:
        code = await replica.wait_for_exit(min(30, plan.patience + 5))
        cluster.record.write("drained", party=replica.name, code=code, last=True)


async def _record_resources(plan: Plan, cluster: Cluster, memory: dict[str, int]) -> None:
    """Record open streams and memory of each replica, now that no client is connected.

    On a busy machine a replica needs seconds to read the ends of its connections, so it gets as long as for
    its exit.
    """
    for replica in cluster.replicas:
        found = await replica.metrics()
        end = time.monotonic() + min(30, plan.patience + 5)
        while not found or found.get(STREAMS) or found.get(QUEUE):
            if time.monotonic() > end:
                replica.signal(signal.SIGUSR1)  # it prints its tasks
                break
            await asyncio.sleep(0.25)
            found = await replica.metrics()
        before, after = memory[replica.name], replica.memory()
        cluster.record.write(
            "at_rest",
            party=replica.name,
            answers=bool(found),
            streams=found.get(STREAMS, 0),
            methods=[key for key, value in found.items() if key.startswith(STREAMS + "{") and value],
            links=[n for n, link in cluster.links.items() if n.endswith(replica.name) and link.connections],
            queue=found.get(QUEUE, 0),
            connections=found.get("askback_database_connections", 0),
            memory_before=before,
            memory_after=after,
            memory_ok=after < MEMORY_BAND * before + MEMORY_ROOM,
        )


async def _progress(cluster: Cluster, injector: Injector, log: Callable[[str], None]) -> None:
    began, last = time.monotonic(), 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            counts = cluster.counts
            prompts = counts.get("prompts", 0)
            up = sum(1 for r in cluster.replicas if r.running)
            log(
                f"{time.monotonic() - began:5.0f} s  faults={injector.total} prompts={prompts} "
                f"(+{(prompts - last) / PROGRESS_SECONDS:.0f}/s) jobs={counts.get('ended', 0)} "
                f"answers={counts.get('answers', 0)} verdicts={counts.get('verdicts', 0)} replicas={up}"
            )
            last = prompts


def clean(folder: Path) -> None:
    """Remove the history of a run."""
    shutil.rmtree(folder, ignore_errors=True)


def out(text: str) -> None:
    """Print progress to standard error."""
    print(text, file=sys.stderr, flush=True)
