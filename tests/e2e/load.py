"""Jobs, workers and consoles that make load while a test kills or drains servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from askback import Client
from tests.support.processes import Process, Processes

KEYS = ("one", "two", "three")
STEPS = ("first", "before one", "before two", "before three", "last")
"""The steps of a `story` with these keys; each must run exactly once."""


def start_worker(processes: Processes, server: str, name: str, *options: str) -> Process:
    """Start a worker for jobs of type `story`."""
    return processes.module(name, "tests.e2e.programs.worker", server, name, str(processes.folder), *options)


def start_console(processes: Processes, server: str, name: str, *options: str) -> Process:
    """Start a console that answers every prompt."""
    return processes.module(name, "tests.e2e.programs.console", server, name, *options)


def effects(processes: Processes) -> list[str]:
    """The lines that the steps wrote: `JOB STEP TOKEN WORKER`."""
    path = Path(processes.folder, "effects")
    return path.read_text().splitlines() if path.exists() else []


class Crew:
    """Two workers, one of which parks, and three consoles that race for every prompt."""

    def __init__(self, processes: Processes, server: str, *, seed: int) -> None:
        self.workers = [
            start_worker(processes, server, "worker-1"),
            start_worker(processes, server, "worker-2", "--park-after", "0.2"),
        ]
        self.consoles = [
            start_console(processes, server, name, "--think", "0.1", "--seed", f"{seed}{place}")
            for place, name in enumerate(("ana", "bob", "cleo"))
        ]

    @property
    def all(self) -> list[Process]:
        """The processes of all workers and consoles."""
        return [*self.workers, *self.consoles]

    async def wait_for_connections(self) -> None:
        """Wait until all processes are connected."""
        for process in self.all:
            await process.wait_for_event("connected")

    def has_verdicts(self, verdicts: float) -> bool:
        """Whether the consoles have received this number of verdicts on their answers."""
        return sum(len(c.events("verdict")) for c in self.consoles) >= verdicts

    async def leave(self) -> None:
        """Terminate all processes; each must exit with 0."""
        for process in self.all:
            assert await process.terminate() == 0, process.name


async def run_jobs(client: Client, count: int, *, at_once: int) -> list[str]:
    """Run `count` stories to their results, `at_once` at a time; return their ids. SDK errors are raised."""
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
