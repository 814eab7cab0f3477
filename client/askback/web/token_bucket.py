"""Limits how often something happens: each time takes a token, and tokens come back at a steady rate."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """At most `burst` at once and `rate` per second in the long run."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        """`clock` returns seconds."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled = clock()

    def take(self) -> float:
        """Take a token, and return the seconds to wait before using it."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate) - 1.0
        self._filled = now
        return max(0.0, -self._tokens / self._rate)
