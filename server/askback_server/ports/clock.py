"""Clocks, alarms and ids."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Alarm(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call. Idempotent."""


class Clock(Protocol):
    """A source of time. Tests replace it; nothing else is mocked."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Monotonic seconds: how long things really take."""

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        """Call `callback` in this event loop at `when` by the wall clock; soon if that has passed."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        """Call `callback` in this event loop at `when` by the wall clock."""
        delay = (when - self.now()).total_seconds()
        return asyncio.get_running_loop().call_later(max(0.0, delay), callback)


class DatabaseClock:
    """The engine's estimate of the database's clock: the local clock and an offset.

    Guards are checked by the database with its own clock. The estimate only has to be good enough for
    decisions, and every reply of a write improves it (docs/design.md 4.3).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = timedelta(0)

    def now(self) -> datetime:
        """The estimated time of the database."""
        return self._clock.now() + self._offset

    def observe(self, database_now: datetime) -> None:
        """Set the offset: this is the database's time right now."""
        self._offset = database_now - self._clock.now()

    def compare(self, asked: datetime, database_now: datetime) -> None:
        """Correct the offset by a reading of the database's clock, taken between `asked` and now by this
        clock.

        A reading within that interval changes nothing: a slow reply must not set the clock back.
        """
        if database_now < asked:
            self._offset -= asked - database_now
        elif database_now > (now := self.now()):
            self._offset += database_now - now

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        """Call `callback` at `when` by the database's clock."""
        return self._clock.call_at(when - self._offset, callback)


_noise: list[str] = []
"""Random hex digits, drawn many at a time. Only popped from, so safe between threads."""


def _draw() -> str:
    try:
        return _noise.pop()
    except IndexError:
        digits = os.urandom(5_120).hex()
        fresh = [digits[at : at + 20] for at in range(0, len(digits), 20)]
        last = fresh.pop()
        _noise.extend(fresh)
        return last


def uuid7() -> str:
    """A new time-ordered id (RFC 9562, version 7) as text."""
    stamp = f"{time.time_ns() // 1_000_000:012x}"
    noise = _draw()
    variant = "89ab"[int(noise[3], 16) & 3]
    return f"{stamp[:8]}-{stamp[8:]}-7{noise[:3]}-{variant}{noise[4:7]}-{noise[7:19]}"


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


_SUFFIX = re.compile(r"[0-9a-f-]{6,36}")


def is_suffix(text: str) -> bool:
    """Whether the text can be the end of an id: long enough, and of the right characters."""
    return _SUFFIX.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Whether the text has the form of an id: a lower-case UUID."""
    return _ID.fullmatch(text) is not None
