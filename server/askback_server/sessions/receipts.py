"""Watches that a worker receives the jobs that are pushed to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from askback_server.ports.clock import Clock
from askback_server.sessions.lease_book import Held, LeaseBook


class ReceiptWatch:
    """Calls `overdue` with the jobs of a stream that its worker has not received within `limit` seconds.

    Then the worker is frozen, or what is sent to it does not arrive.
    """

    def __init__(
        self, leases: LeaseBook, clock: Clock, limit: float, overdue: Callable[[Sequence[Held]], None]
    ) -> None:
        self._leases = leases
        self._clock = clock
        self._limit = limit
        self._overdue = overdue
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def arm(self) -> None:
        """A job was pushed, or the worker said something: look again when the oldest is overdue."""
        pushed_at = self._leases.oldest_on_the_way
        if self._timer is None and pushed_at is not None and not self._closed:
            left = pushed_at + self._limit - self._clock.monotonic()
            # What is overdue stays on its way until it is taken back, and that may take a few tries.
            wait = max(left + 0.001, self._limit / 4)
            self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        self._timer = None
        if overdue := self._leases.take_back(self._clock.monotonic() - self._limit):
            self._overdue(overdue)
        self.arm()

    def close(self) -> None:
        """The stream has ended."""
        self._closed = True
        self._overdue = lambda _: None  # a method of the stream, which holds this watch
        if self._timer is not None:
            self._timer.cancel()
