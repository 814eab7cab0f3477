"""One schedule: two replicas, a network and faults, all derived from one seed."""

from __future__ import annotations

import asyncio
import gc
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from askback._wire import connection
from askback_server.domain.commands import Command
from askback_server.domain.errors import AskbackError, StorageUnavailable
from askback_server.engine import hot_jobs
from askback_server.sessions import prompt_follower
from tests.simulate.database import SimulatedDatabase
from tests.simulate.judges import Verdicts
from tests.simulate.network import Judge, Network
from tests.simulate.people import People
from tests.simulate.replica import SimulatedReplica
from tests.simulate.virtual_time import Deadlock, VirtualLoop, seed_randomness

FAULTY = 12.0
"""Virtual seconds during which faults happen."""


class Schedule(ABC):
    """A simulated run. `run` returns the violations found; equal seeds give equal runs."""

    serves_workers = False
    faults = ("", "crash", "go away", "database down", "forget", "forget")
    fault_pause = 0.5, 4.0
    """Virtual seconds between two faults."""
    settle_seconds = 90.0
    """Virtual seconds after the last fault within which everything must settle."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = Random(f"{seed} schedule")
        self.database = SimulatedDatabase(seed)
        self.verdicts = Verdicts(self.database.rows)
        self.network = Network(seed, self.judge)
        self.people = People()
        self.replicas = [SimulatedReplica(name, self.database, self.people) for name in "ab"]
        self.trace: list[str] = []
        self.tasks: list[asyncio.Task[Any]] = []

    @abstractmethod
    def judge(self, method: str, user: str, replica: SimulatedReplica) -> Judge | None:
        """The judge of a new stream."""

    @abstractmethod
    async def begin(self) -> None:
        """Start the clients."""

    @abstractmethod
    def remaining_work(self) -> str:
        """Describe what has not settled yet; empty if everything has."""

    @abstractmethod
    async def end(self) -> None:
        """Stop the clients and check the final state."""

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    def note(self, text: str) -> None:
        self.trace.append(f"{asyncio.get_running_loop().time():9.4f} {text}")

    async def command(self, command: Command) -> Any:
        """Run a command on a running replica. Returns None if it is refused or its outcome is unknown."""
        if not self.network.replicas:
            return None
        replica = self.rng.choice(self.network.replicas)
        try:
            async with asyncio.timeout(5.0):
                reply = await replica.parts.engine.execute(command)
        except (AskbackError, TimeoutError) as error:
            self.note(f"{type(command).__name__}: {type(error).__name__}")
            return None
        self.note(type(command).__name__)
        return reply

    async def _start(self, replica: SimulatedReplica) -> None:
        await replica.start(serve_workers=self.serves_workers)
        tokens, positions = replica.parts.tokens, self.verdicts.positions
        make = tokens.make

        def make_and_note(position: Any, view: str) -> str:
            token = make(position, view)
            if view:  # without one the token is refused
                positions[token] = position
            return token

        tokens.make = make_and_note  # type: ignore[method-assign]
        self.network.replicas.append(replica)

    async def _faults(self) -> None:
        rng = self.rng
        end = FAULTY
        while (now := asyncio.get_running_loop().time()) < end:
            await asyncio.sleep(min(rng.uniform(*self.fault_pause), end - now + 0.001))
            fault = rng.choice(self.faults)
            self.note(fault)
            if fault == "crash" and len(self.network.replicas) > 1:
                await self.crash(rng.choice(self.network.replicas), rng)
            elif fault == "go away":
                rng.choice(self.network.replicas).go_away()
            elif fault == "database down":
                self.database.unavailable = True
                await asyncio.sleep(rng.uniform(0.1, 2.0))
                self.database.unavailable = False
            elif fault == "forget":
                self.database.forget()
        self.network.faulty = False

    async def crash(self, replica: SimulatedReplica, rng: Random) -> None:
        """Crash a replica that runs, and start it again a while later."""
        self.network.replicas.remove(replica)
        await replica.crash()
        await asyncio.sleep(rng.uniform(0.1, 2.0))
        while True:
            try:
                return await self._start(replica)
            except StorageUnavailable:
                await asyncio.sleep(0.3)

    async def _play(self) -> None:
        for replica in self.replicas:
            await self._start(replica)
        await self.begin()
        await self._faults()
        left = ""
        for _ in range(int(self.settle_seconds)):
            left = self.remaining_work()
            if not left and all(task.done() for task in self.tasks):
                break
            await asyncio.sleep(1.0)
        stuck = [str(task.get_coro()) for task in self.tasks if not task.done()]
        if left or stuck:
            self.verdicts.report(
                f"not settled {self.settle_seconds:g} s after the last fault: {left} {stuck}"
            )
        for task in self.tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                self.verdicts.report(f"a client task failed: {error!r}")
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        async with asyncio.timeout(30.0):
            await self.end()
        for replica in self.replicas:
            await replica.crash()
        await asyncio.sleep(40.0)  # half-open streams time out
        rest = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        if rest:
            self.verdicts.report(f"tasks are left: {[str(t.get_coro()) for t in rest]}")

    def run(self) -> list[str]:
        """Run the schedule to its end."""
        loop = VirtualLoop()
        errors = _ErrorLogHandler(self.verdicts.report)
        own = (
            connection.OPEN_SECONDS,
            hot_jobs.IDLE_SECONDS,
            prompt_follower.PAGE_SIZE,
            prompt_follower.READ_AHEAD,
        )
        # Small pages, so that reads need several; jobs that wait leave the memory within the schedule.
        connection.OPEN_SECONDS, hot_jobs.IDLE_SECONDS = 5.0, 1.0
        prompt_follower.PAGE_SIZE, prompt_follower.READ_AHEAD = 3, 1
        asyncio.set_event_loop(loop)
        try:
            with errors, seed_randomness(self.seed, loop):
                loop.run_until_complete(self._play())
        except (Deadlock, TimeoutError) as error:
            self.verdicts.report(repr(error))
        finally:
            connection.OPEN_SECONDS, hot_jobs.IDLE_SECONDS, *pages = own
            prompt_follower.PAGE_SIZE, prompt_follower.READ_AHEAD = pages
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.close()
            asyncio.set_event_loop(None)
        return self.verdicts.found


class _ErrorLogHandler(logging.Handler):
    """Reports every logged error as a violation."""

    def __init__(self, wrong: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._wrong = wrong
        self._loggers = [logging.getLogger(name) for name in ("askback", "asyncio")]

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._wrong(f"logged: {record.getMessage()} {error!r}")

    def __enter__(self) -> None:
        self._levels = [(log, log.level, log.propagate) for log in self._loggers]
        for log in self._loggers:
            log.addHandler(self)
            log.setLevel(logging.ERROR)
            log.propagate = False
        gc.disable()

    def __exit__(self, *_: object) -> None:
        gc.enable()
        for log, level, propagate in self._levels:
            log.removeHandler(self)
            log.setLevel(level)
            log.propagate = propagate
