"""Random schedules have no violations, and the simulator finds every planted bug."""

from __future__ import annotations

import random
import threading
import time

import pytest

from askback_server.ports.clock import uuid7
from tests.simulate import bugs
from tests.simulate.__main__ import KINDS, simulate

SCHEDULES = {
    "converse": 60,
    "reconnect": 30,
    "access": 30,
    "work": 30,
    "contest": 15,
    "votes": 15,
    "rules": 10,
    "proposals": 4,
    "absences": 12,
}
"""Of `make test`; the long run has five times as many."""
MAX_SCHEDULES = 800
"""Number of schedules within which a planted bug must be found."""


def check(kind: str, first: int, count: int) -> None:
    """Run schedules from the seed `first` on."""
    started = time.perf_counter()
    wrong = [(seed, found) for seed, _, found in simulate(kind, first, count)]
    print(f"simulated {count} {kind} schedules in {time.perf_counter() - started:.1f} s")
    assert not wrong, f"by seed: {wrong}"


@pytest.mark.parametrize("kind", KINDS)
def test_random_schedules_have_no_violations(kind: str) -> None:
    check(kind, 1, SCHEDULES[kind])


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_more_random_schedules_have_no_violations(kind: str) -> None:
    check(kind, 1 + SCHEDULES[kind], 4 * SCHEDULES[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_traces(kind: str) -> None:
    """Otherwise a failing seed could not be replayed. A thread that another test has left changes nothing."""
    traces = []
    ended = threading.Event()

    def draw() -> None:
        while not ended.wait(0.001):
            random.random()
            uuid7()

    other = threading.Thread(target=draw, daemon=True)
    for _ in range(2):
        schedule = KINDS[kind](7)
        schedule.run()
        traces.append(schedule.trace)
        if not other.is_alive():
            other.start()
    ended.set()
    other.join()
    assert traces[0] == traces[1]
    assert len(traces[0]) > 10


@pytest.mark.long
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in bugs.BUGS[kind]])
def test_the_simulator_finds_each_planted_bug(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = bugs.BUGS[kind][name]
    bug.plant(monkeypatch)
    for _, _, found in simulate(kind, 1, MAX_SCHEDULES):
        if any(bug.verdict in text for text in found):
            return
    pytest.fail(f"{name!r} was not found in {MAX_SCHEDULES} schedules")
