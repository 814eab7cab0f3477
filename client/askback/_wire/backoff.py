"""How long to wait before the next try."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Full jitter: between nothing and a bound that doubles with every failure, in seconds."""

    base: float = 0.1
    cap: float = 5.0
    failures: int = 0

    def next(self, at_least: float = 0.0) -> float:
        """The next wait; `at_least` is what the server asked for, and is jittered upwards."""
        bound = min(self.cap, self.base * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return at_least + random.uniform(0, bound)

    def reset(self) -> None:
        """It worked: begin anew."""
        self.failures = 0
