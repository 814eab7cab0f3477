"""The test's clock."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from askback.testing.server import Server

PATIENCE = 5.0


class Clock:
    """The clock that the test's server lives by. It runs by itself, and leaps when told to."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def now(self) -> datetime:
        """What time it is at the server, in UTC."""
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
        patience: float = PATIENCE,
    ) -> None:
        """Let time pass at once: starts, escalation steps, reminders, deadlines, retries and graces fall
        due in their order, each at its own time, and are carried out before this returns. Leases of workers
        that are there live on.

        Time passes only while every job has ended or waits; `patience` is how many seconds to wait for
        that. Without a span it only waits for it. Raises TimeoutError that names the job which kept
        busy, AssertionError for a prompt that no rule expected.
        """
        __tracebackhide__ = True
        human = self._server.human
        span = (span or timedelta()) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if span < timedelta():
            raise ValueError("time only goes forward")
        left = human.leaves if human is not None else lambda _: True
        passing = self._server.soon(self._server.replica.advance(span, left, patience))
        try:
            await asyncio.wrap_future(passing)
        finally:
            if human is not None:
                human.check()
