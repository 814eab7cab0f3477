"""The measurements, the same for every system: trips one at a time, and closed loops of trips and of jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
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
    loop: float = 1.5
    """Least seconds of each loop."""

    def scaled(self, share: float) -> Sizes:
        """A share of all trips and seconds."""
        return Sizes(
            alone=max(2, round(self.alone * share)),
            alone_seconds=self.alone_seconds * share,
            warm_trips=self.warm_trips,
            warm=self.warm * share,
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


class Window:
    """The part of a closed loop that counts, after the warm-up.

    It begins and ends with a batch: as many trips or jobs as there are lanes. All lanes of a slow system may
    end at nearly the same time, so a window that ended within a batch would count one too many or too few.
    """

    def __init__(self, sizes: Sizes, clock: Callable[[], float] = time.perf_counter) -> None:
        self._sizes = sizes
        self._clock = clock
        self._began = clock()
        self._is_warm = False
        self.count = 0
        self.seconds = 0.0
        self.is_over = False

    def add_one(self) -> None:
        """Note the end of a trip or job."""
        if self.is_over:
            return
        self.count += 1
        if self.count % LANES:
            return
        now = self._clock()
        if self._is_warm and now - self._began >= self._sizes.loop:
            self.seconds = now - self._began
            self.is_over = True
        elif not self._is_warm and now - self._began >= self._sizes.warm and self.count >= SPARE * LANES:
            self._is_warm, self._began, self.count = True, now, 0


async def _run_loop(one: Callable[[int], Awaitable[None]], sizes: Sizes) -> tuple[int, float]:
    """Do trips or jobs on all lanes. Returns how many ended in the window, and its seconds.

    Each lane begins the next one as soon as one ends. What is in flight at the end of the window is not
    counted, but finished, so that nothing of it is left for the next measurement.
    """
    window = Window(sizes)

    async def run_lane(lane: int) -> None:
        while not window.is_over:
            await one(lane)
            window.add_one()

    async with asyncio.timeout(sizes.warm + sizes.loop + PATIENCE), asyncio.TaskGroup() as tasks:
        for lane in range(LANES):
            tasks.create_task(run_lane(lane))
    return window.count, window.seconds
