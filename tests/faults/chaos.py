"""One run: a scene, load, faults, quiet, the last look, everybody leaves, the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.checker import Bounds, Verdict, judge
from tests.faults.database import PostgreSQL, SQLiteFile
from tests.faults.injector import Injector
from tests.faults.scene import Cast, Scene
from tests.faults.stored import dump

PROGRESS_SECONDS = 10.0
AT_REST = ("askback_streams_open", "askback_engine_queue_commands")
"""What is 0 when nobody is there."""
QUIET_SECONDS = 330.0
"""What is left has so long: a job that lost many leases backs off for five minutes at the most."""
MEMORY_BAND = 1.6
"""A replica's memory at the end may be so many times that before the faults, and `MEMORY_ROOM` more."""
MEMORY_ROOM = 150 * 1024 * 1024


@dataclass
class Plan:
    """What a run is."""

    seed: int
    seconds: float
    database: str = "postgresql"
    standby: bool = False
    cast: Cast = field(default_factory=Cast)
    pause: float = 0.5
    """Seconds between two faults, on average."""
    longest: float = 2.0
    """Seconds that a fault lasts at the most."""
    prompts: int = 10**9
    """Enough: the faults end when so many were asked."""
    faults: tuple[str, ...] = ()
    """Instead of random ones: these, spread over the time."""
    patience: float = QUIET_SECONDS
    """Seconds that what runs has to end when all is quiet."""
    reach: float = 0.0
    """Seconds in which a prompt must reach a console; by default what the faults make of it."""


@dataclass
class Outcome:
    """What came of it."""

    verdict: Verdict
    faults: dict[str, int]
    counts: dict[str, int]
    seconds: float
    folder: Path
    seed: int

    @property
    def line(self) -> str:
        """The one line that every run ends with."""
        v = self.verdict
        return (
            f"chaos: seed={self.seed} faults={sum(self.faults.values())} prompts={v.prompts} "
            f"answers={v.answers} unknown={v.unknown} violations={len(v.violations)}"
        )


def _never(_: str) -> None:
    """Says nothing."""


async def play(plan: Plan, folder: Path, say: Callable[[str], None] = _never) -> Outcome:
    """One run in a folder of its own, which keeps its history."""
    folder.mkdir(parents=True, exist_ok=True)
    database: SQLiteFile | PostgreSQL
    database = SQLiteFile(folder) if plan.database == "sqlite" else PostgreSQL(standby=plan.standby)
    began = time.monotonic()
    async with Scene(folder, database, plan.cast, plan.seed) as scene:
        injector = Injector(scene, plan.seed, pause=plan.pause, longest=plan.longest)
        memory = {r.name: r.memory() for r in scene.replicas}
        progress = asyncio.create_task(_progress(scene, injector, say))
        try:
            async with injector.raising_the_dead():
                await _break_things(plan, scene, injector)
                say("quiet: everybody is to come to an end")
                await _come_to_rest(plan, scene)
            await _stop_replicas(plan, scene, memory)
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)
        await asyncio.to_thread(dump, database, folder / "stored.1.jsonl")
        counts = scene.counts
    say("judging")
    reach = plan.reach or 6 * plan.longest + 8
    bounds = Bounds(reach=reach, reaped=reach + 5)
    verdict = await asyncio.to_thread(judge, folder, bounds)
    if isinstance(database, SQLiteFile):
        database.path.unlink(missing_ok=True)
    return Outcome(verdict, dict(injector.injected), counts, time.monotonic() - began, folder, plan.seed)


async def _break_things(plan: Plan, scene: Scene, injector: Injector) -> None:
    if plan.faults:
        await injector.follow(plan.faults, plan.seconds)
        return
    end = time.monotonic() + plan.seconds

    def enough() -> bool:
        made = "all_made" in scene.client._told
        return time.monotonic() > end or made or scene.counts.get("prompts", 0) >= plan.prompts

    await injector.run(enough)


async def _come_to_rest(plan: Plan, scene: Scene) -> None:
    """Everything ends by itself, or the checker says that it did not."""
    say, client = scene.record.say, scene.client
    client.order(f"close {plan.patience}")
    if not await client.tells("finished", plan.patience + 20):
        say("stuck", party=client.name, what="its jobs")
    client.order("look")
    if not await client.tells("looked", 60):
        say("stuck", party=client.name, what="reading")
    # Consoles hear the last closings by the feed's poll.
    await asyncio.sleep(2)
    for person in scene.people:
        person.order("leave")
    for person in scene.people:
        code = await person.ended(min(30, plan.patience + 5))
        say("left", party=person.name, code=code)
        if code is None:
            await person.kill()


async def _stop_replicas(plan: Plan, scene: Scene, memory: dict[str, int]) -> None:
    """Nobody is there any more: they hold nothing, and drain."""
    await _look_at_replicas(scene, memory)
    for replica in scene.replicas:
        replica.signal(15)
    for replica in scene.replicas:
        code = await replica.ended(min(30, plan.patience + 5))
        scene.record.say("drained", party=replica.name, code=code, last=True)


async def _look_at_replicas(scene: Scene, memory: dict[str, int]) -> None:
    """Streams and memory, when nobody is there any more."""
    for replica in scene.replicas:
        found: dict[str, float] = {}
        for _ in range(20):
            found = await replica.metrics()
            if (
                found
                and not found.get("askback_streams_open")
                and not found.get("askback_engine_queue_commands")
            ):
                break
            await asyncio.sleep(0.25)
        before, after = memory[replica.name], replica.memory()
        scene.record.say(
            "at_rest",
            party=replica.name,
            answers=bool(found),
            streams=found.get("askback_streams_open", 0),
            queue=found.get("askback_engine_queue_commands", 0),
            connections=found.get("askback_database_connections", 0),
            memory_before=before,
            memory_after=after,
            memory_ok=after < MEMORY_BAND * before + MEMORY_ROOM,
        )


async def _progress(scene: Scene, injector: Injector, say: Callable[[str], None]) -> None:
    began, last = time.monotonic(), 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            counts = scene.counts
            prompts = counts.get("prompts", 0)
            up = sum(1 for r in scene.replicas if r.running)
            say(
                f"{time.monotonic() - began:5.0f} s  faults={injector.total} prompts={prompts} "
                f"(+{(prompts - last) / PROGRESS_SECONDS:.0f}/s) jobs={counts.get('ended', 0)} "
                f"answers={counts.get('answers', 0)} verdicts={counts.get('verdicts', 0)} replicas={up}"
            )
            last = prompts


def clean(folder: Path) -> None:
    """Remove the history of a run that found nothing."""
    shutil.rmtree(folder, ignore_errors=True)


def out(text: str) -> None:
    """For people."""
    print(text, file=sys.stderr, flush=True)
