"""Time and names, as the engine gets them."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Alarm(Protocol):
    """A call that will be made at its time."""

    def cancel(self) -> None:
        """It will not be made. Repeatable."""


class Clock(Protocol):
    """A source of time. Tests put their own in its place; nothing else is ever mocked."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back: how long things really take."""

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        """Call `callback` in this loop when the wall clock says `when`, soon if that has passed."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        """Call `callback` in this loop when the wall clock says `when`."""
        delay = (when - self.now()).total_seconds()
        return asyncio.get_running_loop().call_later(max(0.0, delay), callback)


class DatabaseClock:
    """The engine's estimate of the database's clock: a local clock and an offset.

    The guards of each write are judged by the database itself; this estimate only has to be good
    enough to decide on, and every write's reply sharpens it (DESIGN 4.3).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = timedelta(0)

    def now(self) -> datetime:
        """What the database's clock says by now, as far as is known."""
        return self._clock.now() + self._offset

    def observe(self, database_now: datetime) -> None:
        """The database has just said that this is its time."""
        self._offset = database_now - self._clock.now()

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        """Call `callback` when the database's clock should say `when`."""
        return self._clock.call_at(when - self._offset, callback)


def uuid7() -> str:
    """A new time-ordered id (RFC 9562, version 7) as text."""
    stamp = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10), "big")
    value = (stamp << 80) | (0x7 << 76) | ((tail >> 68 & 0xFFF) << 64) | (0b10 << 62) | (tail & (1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_id(text: str) -> bool:
    """Whether the text is spelt like one of our ids: a lower-case UUID."""
    return _ID.fullmatch(text) is not None
