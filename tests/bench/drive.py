"""Measurements of a server under the client of the bench: trips one at a time, paced and in closed loops."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.bench.client import Client, UnexpectedReply
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
    asked: str = "form"
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
    """The measurements of a closed loop. Times in ms, CPU in µs of the whole window."""

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
    client = _client(server, plan, consoles or server)
    loops = _ClosedLoops(client, server, replicas, plan.in_flight)
    try:
        await client.open()
        found = Measurements()
        if plan.alone:
            found.alone = await _measure_alone(client, plan.in_flight)
        if plan.paced:
            found.paced = await _measure_paced(client, plan)
        if plan.loaded:
            found.loaded = await loops.measure_load(plan.warm, plan.seconds, during)
        if plan.jobs:
            found.jobs = await loops.measure_jobs(plan.warm / 2, plan.seconds / 2)
        return found
    finally:
        await client.close()


async def time_trips(server: RunningServer, in_flight: int, during: During) -> list[tuple[float, float]]:
    """Do trips while `during` runs. Returns when each began and ended."""
    client = _client(server, Plan(), server)
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

    try:
        await client.open()
        await client.wait_for(_ask_one_by_one(client, IN_FLIGHT, WARM_TRIPS))
        await client.run_beside((lane(range(n, IN_FLIGHT, in_flight)) for n in range(in_flight)), beside())
        return found
    finally:
        await client.close()


def _client(server: RunningServer, plan: Plan, consoles: RunningServer) -> Client:
    return Client(server, consoles, plan.asked, plan.prompts_per_job, plan.in_flight)


async def _measure_alone(client: Client, lanes: int) -> list[float]:
    """Measure trips one at a time, in ms."""
    await client.wait_for(_ask_one_by_one(client, lanes, WARM_TRIPS))
    return await client.wait_for(_ask_one_by_one(client, lanes, TRIPS))


async def _ask_one_by_one(client: Client, lanes: int, trips: int) -> list[float]:
    times: list[float] = []
    for number in range(trips):
        started = time.perf_counter()
        await client.ask(number % lanes)
        times.append((time.perf_counter() - started) * 1000)
    return times


async def _measure_paced(client: Client, plan: Plan) -> list[float]:
    """Measure trips that begin at fixed times, in ms from the time at which each was to begin."""
    began = time.perf_counter()

    async def one(number: int) -> float:
        await asyncio.sleep(began + number / plan.paced - time.perf_counter())
        await client.ask(number % plan.in_flight)
        return (time.perf_counter() - began - number / plan.paced) * 1000

    trips = int(plan.paced * plan.seconds)
    return await client.wait_for(asyncio.gather(*(one(number) for number in range(trips))))


class _ClosedLoops:
    """Loops of a client whose every lane begins again as soon as it ends."""

    def __init__(
        self, client: Client, server: RunningServer, replicas: Sequence[RunningServer], in_flight: int
    ) -> None:
        self._client = client
        self._server = server
        self._pids = [server.pid, *(replica.pid for replica in replicas)]
        self._in_flight = in_flight

    async def measure_load(self, warm: float, seconds: float, during: During | None) -> Window:
        """Measure trips."""
        return await self._run(warm, seconds, self._client.ask, during)

    async def measure_jobs(self, warm: float, seconds: float) -> Window:
        """Measure jobs created, leased and completed."""
        await self._client.prepare_for_jobs()

        async def one(lane: int) -> None:
            await self._client.complete(await self._client.new_job(lane))

        return await self._run(warm, seconds, one, None)

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
            before, started, received = self._cpu(), time.perf_counter(), self._client.bytes_in
            await asyncio.sleep(seconds)
            took, received = time.perf_counter() - started, self._client.bytes_in - received
            used = [after - was for after, was in zip(self._cpu(), before, strict=True)]
            found = list(times)
            stopped = True
            if beside is not None:
                await beside
            if not found:
                raise UnexpectedReply(f"{self._server.target}: nothing was done in {seconds} s")
            server, db, client, machine = used
            other = max(0.0, machine - server - db - client)
            return Window(len(found), took, found, server, db, client, other, received / len(found))

        return await self._client.run_beside((lane(number) for number in range(self._in_flight)), window())

    def _cpu(self) -> tuple[float, float, float, float]:
        *servers, db = cpu(*self._pids, self._server.db_pid)
        client = time.process_time() * 1_000_000
        return sum(servers), db if self._server.db_pid else 0.0, client, machine_busy()
