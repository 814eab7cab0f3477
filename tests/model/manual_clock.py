"""A clock that a test sets by hand, for the server's code and for PostgreSQL."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import urlsplit

import asyncpg


@dataclass(order=True)
class _Alarm:
    when: datetime
    number: int
    callback: Callable[[], None] = field(compare=False)
    off: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.off = True


class ManualClock:
    """A Clock whose time is `start` plus `passed` seconds; `fire_due` calls the callbacks that are due."""

    def __init__(self) -> None:
        # Today, because the event log has partitions for the days around it.
        self.start = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0)
        self.passed = 0.0
        self._alarms: list[_Alarm] = []
        self._numbers = count()

    def now(self) -> datetime:
        return self.at(self.passed)

    def at(self, seconds: float) -> datetime:
        return self.start + timedelta(seconds=seconds)

    def since(self, when: datetime | None) -> float | None:
        return None if when is None else (when - self.start).total_seconds()

    def monotonic(self) -> float:
        return self.passed

    def call_at(self, when: datetime, callback: Callable[[], None]) -> _Alarm:
        alarm = _Alarm(when, next(self._numbers), callback)
        heapq.heappush(self._alarms, alarm)
        return alarm

    def fire_due(self) -> None:
        while self._alarms and self._alarms[0].when <= self.now():
            alarm = heapq.heappop(self._alarms)
            if not alarm.off:
                alarm.callback()

    def reset(self) -> None:
        self.passed, self._alarms = 0.0, []


class SkewedClock(ManualClock):
    """Another machine's clock: the true time plus `fast`."""

    def __init__(self, true: ManualClock) -> None:
        self._true = true
        self.fast = timedelta(0)

    def now(self) -> datetime:
        return self._true.now() + self.fast

    def monotonic(self) -> float:
        return self._true.monotonic()

    def call_at(self, when: datetime, callback: Callable[[], None]) -> _Alarm:
        return self._true.call_at(when - self.fast, callback)


_CLOCK_SQL = """
CREATE SCHEMA test_clock;
CREATE TABLE test_clock.clock (at timestamptz NOT NULL);
INSERT INTO test_clock.clock VALUES ('2000-01-01');
CREATE FUNCTION test_clock.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql VOLATILE
AS 'BEGIN RETURN (SELECT at FROM test_clock.clock); END';
"""


class PostgresClock:
    """Sets PostgreSQL's clock: a function earlier in the search path replaces `clock_timestamp`."""

    def __init__(self, url: str) -> None:
        self._dsn = url.replace("+asyncpg", "")
        self.name = urlsplit(url).path[1:]
        self.connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def open(self, at: datetime) -> None:
        self.connection = await asyncpg.connect(self._dsn)
        await self.connection.execute(_CLOCK_SQL)
        path = "test_clock, pg_catalog, public"
        await self.connection.execute(f'ALTER DATABASE "{self.name}" SET search_path = {path}')
        await self.set(at)

    async def set(self, at: datetime) -> None:
        assert self.connection is not None
        await self.connection.execute("UPDATE test_clock.clock SET at = $1", at)

    async def close(self) -> None:
        if self.connection is not None:
            await self.connection.close()
