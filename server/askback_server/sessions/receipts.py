"""Checks that a worker receives the jobs that are pushed to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from askback_server.ports.clock import Clock
from askback_server.sessions.lease_book import HeldJob, LeaseBook


class ReceiptWatch:
    """Calls `overdue` with the jobs that the worker has not confirmed within `limit` seconds.

    Then the worker is frozen, or its connection does not deliver.
    """

    def __init__(
        self, leases: LeaseBook, clock: Clock, limit: float, overdue: Callable[[Sequence[HeldJob]], None]
    ) -> None:
        self._leases = leases
        self._clock = clock
        self._limit = limit
        self._overdue = overdue
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def arm(self) -> None:
        """Set the timer for the oldest unconfirmed push, unless it is set. Call it after each push and each
        frame."""
        pushed_at = self._leases.oldest_in_transit
        if self._timer is None and pushed_at is not None and not self._closed:
            left = pushed_at + self._limit - self._clock.monotonic()
            # An overdue job stays unconfirmed until it is taken back, which may need several attempts.
            wait = max(left + 0.001, self._limit / 4)
            self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        self._timer = None
        if overdue := self._leases.mark_overdue(self._clock.monotonic() - self._limit):
            self._overdue(overdue)
        self.arm()

    def close(self) -> None:
        """Cancel the timer, and set no more."""
        self._closed = True
        self._overdue = lambda _: None  # drop the reference to the stream, which holds this watch
        if self._timer is not None:
            self._timer.cancel()
