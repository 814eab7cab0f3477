"""Jobs, workers and consoles in numbers, for tests that break something under them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from askback import Client
from tests.support.processes import Process, Processes

KEYS = ("one", "two", "three")
STEPS = ("first", "before one", "before two", "before three", "last")
"""What a `story` with these keys does once each."""


def worker(processes: Processes, server: str, name: str, *options: str) -> Process:
    """A worker of the type `story`, started."""
    return processes.module(name, "tests.e2e.programs.worker", server, name, str(processes.folder), *options)


def console(processes: Processes, server: str, name: str, *options: str) -> Process:
    """A person who answers, started."""
    return processes.module(name, "tests.e2e.programs.console", server, name, *options)


def effects(processes: Processes) -> list[str]:
    """What the steps left behind: `job step token worker`."""
    path = Path(processes.folder, "effects")
    return path.read_text().splitlines() if path.exists() else []


class Crew:
    """Two workers, one of which parks, and people who race each other for every prompt."""

    def __init__(self, processes: Processes, server: str, *, seed: int) -> None:
        self.workers = [
            worker(processes, server, "worker-1"),
            worker(processes, server, "worker-2", "--park-after", "0.2"),
        ]
        self.consoles = [
            console(processes, server, name, "--think", "0.1", "--seed", f"{seed}{place}")
            for place, name in enumerate(("ana", "bob", "cleo"))
        ]

    @property
    def all(self) -> list[Process]:
        """Everybody."""
        return [*self.workers, *self.consoles]

    async def connected(self) -> None:
        """Everybody is there."""
        for process in self.all:
            await process.wait_for_event("connected")

    def has_had(self, verdicts: float) -> bool:
        """Whether people have had so many verdicts on their answers."""
        return sum(len(c.events("verdict")) for c in self.consoles) >= verdicts

    async def leave(self) -> None:
        """Everybody goes, in order."""
        for process in self.all:
            assert await process.terminate() == 0, process.name


async def run_jobs(client: Client, count: int, *, at_once: int) -> list[str]:
    """So many stories from start to result, so many at once; their ids. Raises what a user would see."""
    turn = asyncio.Semaphore(at_once)

    async def one(number: int) -> str:
        async with turn:
            run = await client.start(
                "story", {"keys": KEYS, "at_once": number % 3 == 0}, request_id=f"story-{number}"
            )
            result = await run.result()
            assert sorted(result) == sorted(KEYS)
            return run.job_id

    return await asyncio.gather(*(one(number) for number in range(count)))
