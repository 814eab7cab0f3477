"""An event loop in virtual time, and clocks, ids and random numbers that depend on a seed only."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from askback_server.ports import clock as ports_clock
from askback_server.ports.clock import Alarm

START = datetime(2030, 1, 1, tzinfo=UTC)


class Deadlock(Exception):
    """Every task waits and no timer is set: a deadlock."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop that jumps to the time of the next timer whenever no task is ready.

    It does not depend on the machine's clock, files or sockets, so equal seeds give equal runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0
        self._selector: Any = self

    def time(self) -> float:
        return self._virtual

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("every task waits and no timer is set")
        self._virtual += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class LoopClock:
    """A Clock that derives dates from the loop's time."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        left = (when - self.now()).total_seconds()
        return asyncio.get_running_loop().call_later(max(0.0, left), callback)


class OrderedSet(dict[Any, None]):
    """A set in insertion order: the order of a real set depends on memory addresses."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)


@contextmanager
def seed_randomness(seed: int, loop: VirtualLoop) -> Iterator[None]:
    """Derive ids, secrets and backoffs from the seed; ids are ordered by virtual time.

    Threads that other tests have left behind, such as that of the synchronous client, draw from the module
    `random`, and make ids. So the modules under test get a source of their own, and other threads other ids.
    """
    noise, chance, here = random.Random(f"{seed} noise"), random.Random(seed), threading.get_ident()
    drawing = [
        module
        for name, module in tuple(sys.modules.items())
        if name.startswith(("askback.", "askback_server.")) and vars(module).get("random") is random
    ]

    class Time:
        monotonic = staticmethod(loop.time)

        @staticmethod
        def time_ns() -> int:
            return int((START.timestamp() + loop.time()) * 1e9)

    own, own_draw = ports_clock.time, ports_clock._draw
    ports_clock._draw = lambda: (
        f"{noise.getrandbits(80):020x}" if threading.get_ident() == here else own_draw()
    )
    ports_clock.time = Time  # type: ignore[assignment]
    for module in drawing:
        vars(module)["random"] = chance
    try:
        yield
    finally:
        for module in drawing:
            vars(module)["random"] = random
        ports_clock._draw, ports_clock.time = own_draw, own
