"""Ignores keys that a person pressed before they could see what the keys act on."""

from __future__ import annotations

import time
from collections.abc import Callable

DEAD_SECONDS = 0.3
"""A person needs longer than this to react to a change on the screen."""


class DeadTime:
    """The time after a change in which keys that decide do nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()

    def begin(self) -> None:
        """Note that what the keys act on has changed now."""
        self._since = self._clock()

    @property
    def is_over(self) -> bool:
        """Whether the last change was long enough ago."""
        return self._clock() - self._since >= DEAD_SECONDS
