"""Spreads replicas over the head of a queue, so that they do not race for the same jobs."""

from __future__ import annotations

import random
from collections import deque

from askback_server.engine.concurrency import QueueKey

MIN_EXTRA_CANDIDATES = 8
"""Minimum number of extra candidates to choose among after losing a lease race."""


class Spread:
    """For each queue, how many extra candidates the next scan reads; at most `maximum`.

    The number doubles with every lease race lost to another replica, and halves with every scan.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._more: dict[QueueKey, int] = {}

    def more(self, queue: QueueKey) -> int:
        """The number of candidates to read in addition to those wanted."""
        return self._more.get(queue, 0)

    def widen(self, queue: QueueKey) -> None:
        """Another replica got a job of the queue first."""
        self._more[queue] = min(max(MIN_EXTRA_CANDIDATES, 2 * self.more(queue)), self._maximum)

    def step_aside(self, queue: QueueKey, ids: deque[str], wanted: int) -> None:
        """Rotate the candidates by a random offset, so that the `wanted` first ones are not the head of the
        queue."""
        spread = self._more.pop(queue, 0)
        if spread:
            ids.rotate(-random.randrange(min(spread, max(0, len(ids) - wanted)) + 1))
            if spread > 1:
                self._more[queue] = spread // 2
