"""The measurements, the same for every system: trips one at a time, and closed loops of trips and of jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from peers.peer import LANES, SPARE, Peer, WrongReply

PATIENCE = 60.0
"""Seconds until a trip or job in flight must have ended."""


@dataclass(frozen=True)
class Sizes:
    """How much a turn measures of a system. A turn is one visit; each round has two of each system."""

    alone: int = 150
    """Trips one at a time, at most."""
    alone_seconds: float = 1.5
    """Stop after this time even if there were fewer trips: some systems take half a second for one."""
    warm_trips: int = 3
    warm: float = 0.7
    """Least seconds of each loop before it is measured. The window begins once each waiting job of each lane
    has had a trip: until then a slow system has none to count, and a system that was idle reads its jobs."""
    most_warm: float = 5.0
    """Seconds after which the loop is measured in any case."""
    loop: float = 1.5
    """Seconds of each loop."""

    def scaled(self, share: float) -> Sizes:
        """A share of all trips and seconds."""
        return Sizes(
            alone=max(2, round(self.alone * share)),
            alone_seconds=self.alone_seconds * share,
            warm_trips=self.warm_trips,
            warm=self.warm * share,
            most_warm=self.most_warm * share,
            loop=self.loop * share,
        )


@dataclass
class Turn:
    """What a turn has measured."""

    alone: list[float]
    """ms of each trip one at a time."""
    trips: int
    trips_seconds: float
    jobs: int
    jobs_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Field by name."""
        return asdict(self)


async def measure_turn(peer: Peer, sizes: Sizes) -> Turn:
    """Measure a system once. Raises WrongReply if a trip or job does not end within `PATIENCE` seconds.

    The loop of trips comes first: after it, all jobs of a system that was idle are in memory again.
    """
    try:
        trips, trips_seconds = await _run_loop(peer.trip, sizes)
        alone = await _time_alone(peer, sizes)
        jobs, jobs_seconds = await _run_loop(peer.job, sizes)
    except TimeoutError:
        raise WrongReply(f"a trip or job did not end within {PATIENCE:.0f} s") from None
    return Turn(alone, trips, trips_seconds, jobs, jobs_seconds)


async def _time_alone(peer: Peer, sizes: Sizes) -> list[float]:
    """ms of trips one at a time."""
    times: list[float] = []
    for lane in range(sizes.warm_trips):
        await asyncio.wait_for(peer.trip(lane), PATIENCE)
    deadline = time.perf_counter() + sizes.alone_seconds
    async with asyncio.timeout(sizes.alone_seconds + PATIENCE):
        while len(times) < sizes.alone and time.perf_counter() < deadline:
            started = time.perf_counter()
            await peer.trip(len(times) % LANES)
            times.append((time.perf_counter() - started) * 1000)
    return times


async def _run_loop(one: Callable[[int], Awaitable[None]], sizes: Sizes) -> tuple[int, float]:
    """Do trips or jobs on all lanes. Returns how many ended in the window, and its seconds.

    Each lane begins the next one as soon as one ends. What is in flight at the end of the window is not
    counted, but finished, so that nothing of it is left for the next measurement.
    """
    count = 0
    is_warm = asyncio.Event()
    is_over = False

    async def run_lane(lane: int) -> None:
        nonlocal count
        while not is_over:
            await one(lane)
            count += 1
            if count == SPARE * LANES:
                is_warm.set()

    async def watch_window() -> tuple[int, float]:
        nonlocal is_over
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(asyncio.sleep(sizes.warm), is_warm.wait()), sizes.most_warm)
        before, started = count, time.perf_counter()
        await asyncio.sleep(sizes.loop)
        found = count - before, time.perf_counter() - started
        is_over = True
        return found

    async with asyncio.timeout(sizes.most_warm + sizes.loop + PATIENCE), asyncio.TaskGroup() as tasks:
        window = tasks.create_task(watch_window())
        for lane in range(LANES):
            tasks.create_task(run_lane(lane))
    return window.result()
