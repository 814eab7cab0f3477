"""Many times at which somebody wants to look, and one alarm."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from askback_server.ports.clock import Alarm, DatabaseClock

MOST = 100_000
"""Times kept. Whoever has more looks again and again anyway."""
AFTER = timedelta(milliseconds=10)
"""So much later than asked for: our estimate of the database's clock may be a little ahead of it."""


class Alarms:
    """Calls `look` soon after each of the times that were noted."""

    def __init__(self, clock: DatabaseClock, look: Callable[[], None]) -> None:
        self._clock = clock
        self._look = look
        self._heap: list[datetime] = []
        self._noted: set[datetime] = set()
        self._alarm: Alarm | None = None

    def __len__(self) -> int:
        return len(self._heap)

    def note(self, when: datetime) -> None:
        """Look soon after `when` too."""
        if when in self._noted or len(self._heap) >= MOST:
            return
        self._noted.add(when)
        heapq.heappush(self._heap, when)
        if self._heap[0] is when:
            self._set_alarm()

    def _set_alarm(self) -> None:
        self.close()
        if self._heap:
            self._alarm = self._clock.call_at(self._heap[0] + AFTER, self._ring)

    def _ring(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0] <= now:
            self._noted.discard(heapq.heappop(self._heap))
        self._look()
        self._set_alarm()

    def close(self) -> None:
        """Call nobody any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
