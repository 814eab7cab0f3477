"""An event loop whose clock leaps to whatever comes next, and clocks and ids that a seed decides."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from askback_server.ports import clock as ports_clock
from askback_server.ports.clock import Alarm

START = datetime(2030, 1, 1, tzinfo=UTC)


class Stuck(Exception):
    """Everybody waits, and nothing will ever happen."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready; when nothing is, it is at once the time of the next timer.

    Nothing in it depends on the machine's clock or on files and sockets: the same program with the same
    seed runs alike.
    """

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0
        self._selector: Any = self

    def time(self) -> float:
        return self._virtual

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("everybody waits, and nothing will ever happen")
        self._virtual += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class LoopClock:
    """A Clock that shows the loop's time, as a date."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        left = (when - self.now()).total_seconds()
        return asyncio.get_running_loop().call_later(max(0.0, left), callback)


class Ordered(dict[Any, None]):
    """A set that remembers the order in which things came: a real one's depends on addresses."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)


@contextmanager
def seeded(seed: int, loop: VirtualLoop) -> Iterator[None]:
    """Ids, secrets and backoffs come from the seed, and ids are in the order of virtual time."""
    noise = random.Random(f"{seed} noise")

    class Time:
        monotonic = staticmethod(loop.time)

        @staticmethod
        def time_ns() -> int:
            return int((START.timestamp() + loop.time()) * 1e9)

    own = (ports_clock._draw, ports_clock.time)
    ports_clock._draw = lambda: f"{noise.getrandbits(80):020x}"
    ports_clock.time = Time  # type: ignore[assignment]
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        ports_clock._draw, ports_clock.time = own  # type: ignore[assignment]
