"""Rounds of the bench: all servers of a database run side by side, and are measured in turns.

A turn takes a second or less, and every second turn has the servers in the opposite order. So other work on
the machine and its drift meet all servers of a round alike.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace

from tests.bench.drive import Driver, Plan, Window, driving
from tests.bench.report import percentile
from tests.bench.servers import RunningServer

CASES = ("alone", "trips", "jobs-stream", "jobs-unary")
"""Trips one at a time; with 64 in flight: trips, jobs of streams, and jobs of unary calls."""

UNITS = {
    "p50": "ms",
    "p99": "ms",
    "rate": "per s",
    "server_cpu": "µs",
    "database_cpu": "µs",
    "client_cpu": "µs",
    "bytes": "bytes",
}
"""Units by metric. CPU and bytes are for each trip or job."""

Start = Callable[[], AbstractContextManager[RunningServer]]


@dataclass(frozen=True)
class Sizes:
    """How much a round measures of each server."""

    alone: int = 288
    """Trips one at a time; 2,016 in 7 rounds."""
    alone_turns: int = 12
    warm_trips: int = 60
    rewarm_trips: int = 2
    """Before each further turn of `alone`: the server has been idle, and its caches are cold."""
    loops: float = 1.0
    """Seconds of each closed loop."""
    loop_turns: int = 2
    warm: float = 0.5
    """Seconds of each closed loop before the first turn."""
    rewarm: float = 0.2
    """The same before each further turn."""

    def scaled(self, share: float) -> Sizes:
        """A share of all trips and seconds."""
        return replace(
            self,
            alone=max(self.alone_turns, round(self.alone * share)),
            warm_trips=max(1, round(self.warm_trips * share)),
            loops=self.loops * share,
            warm=self.warm * share,
            rewarm=self.rewarm * share,
        )


@dataclass
class Measured:
    """What a round has measured of a server."""

    windows: defaultdict[str, list[Window]] = field(default_factory=lambda: defaultdict(list))
    """Turns by case."""

    @property
    def alone(self) -> list[float]:
        """ms of all trips one at a time."""
        return [ms for window in self.windows["alone"] for ms in window.times]

    def metrics(self) -> dict[str, dict[str, float]]:
        """Values by case and metric."""
        return {case: _metrics(case, windows) for case, windows in self.windows.items() if windows}

    @property
    def others(self) -> float:
        """CPUs that other processes of the machine used meanwhile."""
        windows = [window for of in self.windows.values() for window in of]
        return sum(w.other_cpu for w in windows) / sum(w.seconds for w in windows) / 1e6


def _metrics(case: str, windows: Sequence[Window]) -> dict[str, float]:
    count = sum(window.count for window in windows)
    found = {
        "server_cpu": sum(window.server_cpu for window in windows) / count,
        "database_cpu": sum(window.db_cpu for window in windows) / count,
        "client_cpu": sum(window.client_cpu for window in windows) / count,
        "bytes": sum(window.bytes_in * window.count for window in windows) / count,
    }
    if case == "alone":
        times = [ms for window in windows for ms in window.times]
        found |= {"p50": percentile(times, 50), "p99": percentile(times, 99)}
    else:
        found["rate"] = count / sum(window.seconds for window in windows)
    return {name: value for name, value in found.items() if value}


async def run_round(
    starts: Mapping[str, Start], cases: Sequence[str], sizes: Sizes, number: int
) -> dict[str, Measured]:
    """Start the servers, connect a client to each, measure all cases, and end them.

    Each round begins with another server. Returns what was measured, by the names of `starts`.
    """
    names = [*starts]
    names = names[number % len(names) :] + names[: number % len(names)]
    found = {name: Measured() for name in starts}
    async with AsyncExitStack() as stack:
        running = await _start_all(starts, stack)
        drivers = {name: await stack.enter_async_context(driving(running[name], Plan())) for name in names}
        for case in cases:
            for turn in range(sizes.alone_turns if case == "alone" else sizes.loop_turns):
                for name in names if turn % 2 == 0 else reversed(names):
                    await _measure(drivers[name], case, sizes, turn, found[name])
    return found


async def _start_all(starts: Mapping[str, Start], stack: AsyncExitStack) -> Mapping[str, RunningServer]:
    """Start servers at the same time. The stack ends those that have started, also if another has not."""
    contexts = {name: stack.enter_context(ExitStack()) for name in starts}

    def start(name: str) -> RunningServer:
        return contexts[name].enter_context(starts[name]())

    started = [asyncio.create_task(asyncio.to_thread(start, name)) for name in starts]
    await asyncio.wait(started)
    return dict(zip(starts, [task.result() for task in started], strict=True))


async def _measure(driver: Driver, case: str, sizes: Sizes, turn: int, found: Measured) -> None:
    """Measure a turn of a case."""
    if case == "alone":
        await driver.time_trips(sizes.rewarm_trips if turn else sizes.warm_trips)
        found.windows[case].append(await driver.run_alone(sizes.alone // sizes.alone_turns))
        return
    loops: Mapping[str, Callable[[float, float], Awaitable[Window]]] = {
        "trips": driver.run_trips,
        "jobs-stream": driver.run_jobs,
        "jobs-unary": driver.run_called_jobs,
    }
    warm = sizes.rewarm if turn else sizes.warm
    found.windows[case].append(await loops[case](warm, sizes.loops / sizes.loop_turns))
