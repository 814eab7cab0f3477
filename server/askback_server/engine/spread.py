"""Where replicas begin in a queue whose first jobs several of them want."""

from __future__ import annotations

import random
from collections import deque

from askback_server.engine.concurrency import QueueKey

LEAST = 8
"""The least of further candidates that a replica chooses among after another was quicker."""


class Spread:
    """Remembers, by queue, among how many more jobs the next looks begin. `most`: never more than these.

    The number doubles with every lease that another replica got first, and halves with every look.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._more: dict[QueueKey, int] = {}

    def more(self, queue: QueueKey) -> int:
        """How many jobs to read besides those that are wanted."""
        return self._more.get(queue, 0)

    def widen(self, queue: QueueKey) -> None:
        """Another replica was quicker at a job of the queue."""
        self._more[queue] = min(max(LEAST, 2 * self.more(queue)), self._most)

    def step_aside(self, queue: QueueKey, line: deque[str], wanted: int) -> None:
        """Rotate the line of job ids, so that `wanted` of them are taken from somewhere else."""
        spread = self._more.pop(queue, 0)
        if spread:
            line.rotate(-random.randrange(min(spread, max(0, len(line) - wanted)) + 1))
            if spread > 1:
                self._more[queue] = spread // 2
