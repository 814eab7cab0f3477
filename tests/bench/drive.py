"""Measurements of a server under the client of the bench: trips one at a time, paced and in closed loops."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.bench.client import PATIENCE, Client, UnexpectedReply
from tests.bench.processes import cpu, machine_busy
from tests.bench.servers import RunningServer

IN_FLIGHT = 64
WARM_TRIPS, TRIPS = 100, 400

During = Callable[[], Awaitable[None]]
"""What runs beside a loop."""


@dataclass(frozen=True)
class Plan:
    """What to measure of one server."""

    seconds: float = 4.0
    warm: float = 1.0
    prompts_per_job: int = 50
    """After this many prompts a job is completed and replaced by a new one."""
    alone: bool = True
    """Measure trips one at a time."""
    loaded: bool = True
    """Measure trips in a closed loop."""
    jobs: bool = True
    """Measure jobs per second."""
    in_flight: int = IN_FLIGHT
    """Trips or jobs of a closed loop."""
    paced: float = 0.0
    """Measure trips at this rate per second, whether or not earlier ones have ended."""


@dataclass(frozen=True)
class Window:
    """The measurements of a loop. Times in ms, CPU in µs of the whole window."""

    count: int
    seconds: float
    times: list[float]
    server_cpu: float
    db_cpu: float
    client_cpu: float
    other_cpu: float
    """CPU used by unrelated processes: how noisy the machine was."""
    bytes_in: float


@dataclass
class Measurements:
    """The measurements of one server. Times in ms."""

    alone: list[float] = field(default_factory=list)
    paced: list[float] = field(default_factory=list)
    loaded: Window | None = None
    jobs: Window | None = None


async def measure(
    server: RunningServer,
    plan: Plan,
    during: During | None = None,
    replicas: Sequence[RunningServer] = (),
    consoles: RunningServer | None = None,
) -> Measurements:
    """Do the measurements of the plan. `during` runs beside the loop of 64.

    `replicas` are further replicas of `server`, whose CPU time counts too. The consoles connect to one of
    them, `consoles`, instead of to `server`.
    """
    async with driving(server, plan, replicas, consoles) as driver:
        found = Measurements()
        if plan.alone:
            await driver.time_trips(WARM_TRIPS)
            found.alone = await driver.time_trips(TRIPS)
        if plan.paced:
            found.paced = await driver.time_paced_trips(plan.paced, plan.seconds)
        if plan.loaded:
            found.loaded = await driver.run_trips(plan.warm, plan.seconds, during)
        if plan.jobs:
            found.jobs = await driver.run_jobs(plan.warm / 2, plan.seconds / 2)
        return found


async def time_trips(server: RunningServer, in_flight: int, during: During) -> list[tuple[float, float]]:
    """Do trips while `during` runs. Returns when each began and ended."""
    found: list[tuple[float, float]] = []
    ended = False

    async def lane(numbers: range) -> None:
        for number in itertools.cycle(numbers):
            if ended:
                break
            started = time.perf_counter()
            await client.ask(number)
            found.append((started, time.perf_counter()))

    async def beside() -> None:
        nonlocal ended
        try:
            await during()
        finally:
            ended = True

    async with driving(server, Plan()) as driver:
        client = driver.client
        await driver.time_trips(WARM_TRIPS)
        await client.run_beside((lane(range(n, IN_FLIGHT, in_flight)) for n in range(in_flight)), beside())
        return found


@asynccontextmanager
async def driving(
    server: RunningServer,
    plan: Plan,
    replicas: Sequence[RunningServer] = (),
    consoles: RunningServer | None = None,
) -> AsyncIterator[Driver]:
    """Connect workers and consoles to a server."""
    client = Client(server, consoles or server, plan.prompts_per_job, plan.in_flight)
    try:
        await client.open()
        yield Driver(client, server, replicas, plan.in_flight)
    finally:
        await client.close()


class Driver:
    """Measures a server with a connected client: trips one at a time, paced, and closed loops."""

    def __init__(
        self, client: Client, server: RunningServer, replicas: Sequence[RunningServer], in_flight: int
    ) -> None:
        self.client = client
        self._server = server
        self._pids = [server.pid, *(replica.pid for replica in replicas)]
        self._in_flight = in_flight

    async def time_trips(self, trips: int) -> list[float]:
        """Time trips one at a time, in ms."""
        return await self.client.wait_for(self._ask_one_by_one(trips))

    async def _ask_one_by_one(self, trips: int) -> list[float]:
        times: list[float] = []
        for number in range(trips):
            started = time.perf_counter()
            await self.client.ask(number % self._in_flight)
            times.append((time.perf_counter() - started) * 1000)
        return times

    async def run_alone(self, trips: int) -> Window:
        """Run trips one at a time."""
        before, started, received = self._cpu(), time.perf_counter(), self.client.bytes_in
        times = await self.time_trips(trips)
        return self._window(times, time.perf_counter() - started, before, self.client.bytes_in - received)

    async def time_paced_trips(self, rate: float, seconds: float) -> list[float]:
        """Time trips that begin at fixed times, `rate` per second, in ms from when each was to begin."""
        began = time.perf_counter()

        async def one(number: int) -> float:
            await asyncio.sleep(began + number / rate - time.perf_counter())
            await self.client.ask(number % self._in_flight)
            return (time.perf_counter() - began - number / rate) * 1000

        trips = int(rate * seconds)
        return await self.client.wait_for(asyncio.gather(*(one(number) for number in range(trips))))

    async def run_trips(self, warm: float, seconds: float, during: During | None = None) -> Window:
        """Run trips in a closed loop: every lane begins the next one as soon as one ends."""
        return await self._run(warm, seconds, self.client.ask, during)

    async def run_jobs(self, warm: float, seconds: float) -> Window:
        """Run jobs in a closed loop: created by calls, leased to a stream and completed by it."""
        await self.client.prepare_for_jobs()

        async def one(lane: int) -> None:
            await self.client.complete(await self.client.new_job(lane))

        return await self._run(warm, seconds, one, None)

    async def run_called_jobs(self, warm: float, seconds: float) -> Window:
        """Run jobs in a closed loop: created, leased and completed by calls."""
        self.client.start_callers()
        return await self._run(warm, seconds, self.client.call_job, None)

    async def _run(
        self,
        warm: float,
        seconds: float,
        one: Callable[[int], Awaitable[None]],
        during: During | None,
    ) -> Window:
        times: list[float] = []
        stopped = False

        async def lane(number: int) -> None:
            while not stopped:
                started = time.perf_counter()
                await one(number)
                times.append((time.perf_counter() - started) * 1000)

        async def window() -> Window:
            nonlocal stopped
            await asyncio.sleep(warm)
            beside = asyncio.ensure_future(during()) if during is not None else None
            times.clear()
            before, started, received = self._cpu(), time.perf_counter(), self.client.bytes_in
            await asyncio.sleep(seconds)
            while not times and time.perf_counter() - started < PATIENCE:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # a short window on a busy machine
            took, received = time.perf_counter() - started, self.client.bytes_in - received
            stopped = True
            found = self._window(list(times), took, before, received)
            if beside is not None:
                await beside
            return found

        return await self.client.run_beside((lane(number) for number in range(self._in_flight)), window())

    def _window(self, times: list[float], seconds: float, before: Sequence[float], bytes_in: float) -> Window:
        """What was measured since `before`. Raises UnexpectedReply if nothing was done."""
        used = [after - was for after, was in zip(self._cpu(), before, strict=True)]
        if not times:
            raise UnexpectedReply(f"{self._server.target}: nothing was done in {seconds:.1f} s")
        server, db, client, machine = used
        other = max(0.0, machine - server - db - client)
        return Window(len(times), seconds, times, server, db, client, other, bytes_in / len(times))

    def _cpu(self) -> tuple[float, float, float, float]:
        *servers, db = cpu(*self._pids, self._server.db_pid)
        client = time.process_time() * 1_000_000
        return sum(servers), db if self._server.db_pid else 0.0, client, machine_busy()
