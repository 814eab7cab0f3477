"""Exponential backoff with full jitter."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Full jitter: a random wait, in seconds, up to a bound that doubles with every failure."""

    base: float = 0.1
    cap: float = 5.0
    failures: int = 0

    def next(self, at_least: float = 0.0) -> float:
        """The next wait. `at_least` is the wait that the server requested; the jitter is added to it."""
        bound = min(self.cap, self.base * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return at_least + random.uniform(0, bound)

    def reset(self) -> None:
        """Start again at the smallest bound, after a success."""
        self.failures = 0
