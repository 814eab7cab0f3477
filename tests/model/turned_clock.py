"""A clock that stands still until a test turns it, for the program and for PostgreSQL."""

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


class TurnedClock:
    """A Clock: `turn` lets time pass, `ring` calls whom its passing has made due."""

    def __init__(self) -> None:
        # Today: PostgreSQL's log has partitions for the days around it.
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

    def ring(self) -> None:
        while self._alarms and self._alarms[0].when <= self.now():
            alarm = heapq.heappop(self._alarms)
            if not alarm.off:
                alarm.callback()

    def rewind(self) -> None:
        self.passed, self._alarms = 0.0, []


class OffClock(TurnedClock):
    """Another machine's clock: as the first one, and as much fast or slow as it is."""

    def __init__(self, true: TurnedClock) -> None:
        self._true = true
        self.fast = timedelta(0)

    def now(self) -> datetime:
        return self._true.now() + self.fast

    def monotonic(self) -> float:
        return self._true.monotonic()

    def call_at(self, when: datetime, callback: Callable[[], None]) -> _Alarm:
        return self._true.call_at(when - self.fast, callback)


_TOLD = """
CREATE SCHEMA told;
CREATE TABLE told.clock (at timestamptz NOT NULL);
INSERT INTO told.clock VALUES ('2000-01-01');
CREATE FUNCTION told.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql VOLATILE
AS 'BEGIN RETURN (SELECT at FROM told.clock); END';
"""


class ToldPostgres:
    """Makes PostgreSQL's own clock say what it is told: a function that stands before the real one."""

    def __init__(self, url: str) -> None:
        self._dsn = url.replace("+asyncpg", "")
        self.name = urlsplit(url).path[1:]
        self.connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def open(self, at: datetime) -> None:
        self.connection = await asyncpg.connect(self._dsn)
        await self.connection.execute(_TOLD)
        path = "told, pg_catalog, public"
        await self.connection.execute(f'ALTER DATABASE "{self.name}" SET search_path = {path}')
        await self.tell(at)

    async def tell(self, at: datetime) -> None:
        assert self.connection is not None
        await self.connection.execute("UPDATE told.clock SET at = $1", at)

    async def close(self) -> None:
        if self.connection is not None:
            await self.connection.close()
