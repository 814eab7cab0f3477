"""The clock of a test's server."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from askback.testing.server import Server

SETTLE_SECONDS = 5.0


class Clock:
    """The clock of the test's server. It runs like a normal clock, and can be advanced."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def now(self) -> datetime:
        """The server's present time, in UTC."""
        now: datetime = self._server.replica.clock.now()
        return now

    async def advance(
        self,
        span: timedelta | None = None,
        /,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        patience: float = SETTLE_SECONDS,
    ) -> None:
        """Advance the clock. Starts, escalation steps, reminders, deadlines, retries and grace periods that
        become due are carried out in their order, each at its own time, before this returns. Leases of
        connected workers do not expire.

        The clock advances only while every job has ended or waits; `patience` is the number of seconds to
        wait for that. Without a duration this only waits. Raises TimeoutError that names the job which is
        still busy, AssertionError for a prompt that no rule expected.
        """
        __tracebackhide__ = True
        human = self._server.human
        span = (span or timedelta()) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if span < timedelta():
            raise ValueError("time only goes forward")
        left = human.leaves if human is not None else lambda _: True
        passing = self._server.submit(self._server.replica.advance(span, left, patience))
        try:
            await asyncio.wrap_future(passing)
        finally:
            if human is not None:
                human.check()
