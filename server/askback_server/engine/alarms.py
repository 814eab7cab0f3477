"""Calls a function soon after each of many points in time, with one timer."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from askback_server.ports.clock import Alarm, DatabaseClock

MAX_ALARMS = 100_000
"""Maximum number of pending times. Further ones are dropped: the caller also polls."""
SAFETY_MARGIN = timedelta(milliseconds=10)
"""Added to each time, because our estimate of the database's clock may be slightly ahead of it."""


class Alarms:
    """A heap of times and one timer for the earliest. Calls `callback` soon after each time."""

    def __init__(self, clock: DatabaseClock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._heap: list[datetime] = []
        self._noted: set[datetime] = set()
        self._alarm: Alarm | None = None

    def __len__(self) -> int:
        return len(self._heap)

    def note(self, when: datetime) -> None:
        """Add a time. A time that is already pending is added once."""
        if when in self._noted or len(self._heap) >= MAX_ALARMS:
            return
        self._noted.add(when)
        heapq.heappush(self._heap, when)
        if self._heap[0] is when:
            self._set_alarm()

    def _set_alarm(self) -> None:
        self.close()
        if self._heap:
            self._alarm = self._clock.call_at(self._heap[0] + SAFETY_MARGIN, self._ring)

    def _ring(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0] <= now:
            self._noted.discard(heapq.heappop(self._heap))
        self._callback()
        self._set_alarm()

    def close(self) -> None:
        """Cancel the timer."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
