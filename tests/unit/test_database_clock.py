"""The estimate of the database's clock, and alarms that use it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from askback_server.engine import alarms
from askback_server.engine.alarms import Alarms
from askback_server.ports.clock import Alarm, DatabaseClock

START = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Turned:
    """A clock that a test moves. Its alarms go off in the order of their times."""

    def __init__(self) -> None:
        self.time = START
        self.alarms: list[Ringing] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return 0.0

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Alarm:
        alarm = Ringing(self, when, callback)
        self.alarms.append(alarm)
        return alarm

    def turn(self, by: timedelta) -> None:
        self.time += by
        while due := sorted((a for a in self.alarms if a.when <= self.time), key=lambda a: a.when):
            due[0].cancel()
            due[0].callback()


class Ringing:
    def __init__(self, clock: Turned, when: datetime, callback: Callable[[], None]) -> None:
        self.clock, self.when, self.callback = clock, when, callback

    def cancel(self) -> None:
        if self in self.clock.alarms:
            self.clock.alarms.remove(self)


def test_a_reading_that_agrees_with_the_clock_changes_nothing() -> None:
    """A reading that took five seconds may have been taken at any moment of these."""
    local = Turned()
    clock = DatabaseClock(local)
    asked = clock.now()
    local.time += 5 * SECOND
    for said in (START, START + 2 * SECOND, START + 5 * SECOND):
        clock.compare(asked, said)
        assert clock.now() == START + 5 * SECOND


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_wrong_clock_is_corrected(hours: int) -> None:
    local = Turned()
    clock = DatabaseClock(local)
    wrong = timedelta(hours=hours)
    clock.observe(START + wrong)
    asked = clock.now()
    local.time += SECOND
    clock.compare(asked, START + SECOND / 2)
    assert START <= clock.now() <= START + 2 * SECOND
    # The next immediate reading is exact.
    local.time += SECOND
    clock.compare(clock.now(), START + 2 * SECOND)
    assert clock.now() == START + 2 * SECOND


def test_many_times_share_one_alarm_and_are_each_looked_at() -> None:
    local, looks = Turned(), []
    clock = DatabaseClock(local)
    wakes = Alarms(clock, lambda: looks.append(local.now()))
    for n in (5, 3, 9, 3, 1):
        wakes.note(START + n * SECOND)
        assert len(local.alarms) == 1
    assert len(wakes) == 4
    local.turn(SECOND - alarms.SAFETY_MARGIN)
    assert looks == []
    local.turn(2 * alarms.SAFETY_MARGIN)
    assert len(looks) == 1
    local.turn(3 * SECOND)
    assert (len(looks), len(wakes), len(local.alarms)) == (2, 2, 1)
    wakes.note(local.now() + SECOND / 10)
    local.turn(SECOND / 2)
    assert (len(looks), len(wakes)) == (3, 2)
    wakes.close()
    local.turn(100 * SECOND)
    assert len(looks) == 3


def test_the_number_of_pending_times_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "MAX_ALARMS", 3)
    wakes = Alarms(DatabaseClock(Turned()), lambda: None)
    for n in range(9):
        wakes.note(START + n * SECOND)
    assert len(wakes) == 3
