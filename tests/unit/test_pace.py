"""The pace of background work: counted changes of others decide how large a step is and when it is due."""

from __future__ import annotations

import asyncio

import pytest

from askback_server.engine import pace as module
from askback_server.engine.committed import Committed
from askback_server.engine.pace import LARGE_STEP, SMALL_STEP, Pace
from askback_server.ports.announcements import Announcement
from tests.support.rows import new_job


@pytest.fixture(autouse=True)
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a count ends a wait."""
    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 3600.0)


def changes(count: int, *, deleted: bool = False) -> list[Committed]:
    return [Committed(new_job(), deleted=deleted) for _ in range(count)]


def announcements(count: int, *, deleted: bool = False) -> list[Announcement]:
    return [Announcement(f"job-{n}", 1, 2, "default", deleted=deleted) for n in range(count)]


async def test_without_others_steps_are_large_and_follow_at_once() -> None:
    pace = Pace(lambda: True)
    assert [await pace.turn(LARGE_STEP) for _ in range(3)] == [LARGE_STEP] * 3
    # What the task itself deletes does not count, here or at another replica.
    pace.on_commit(changes(500, deleted=True))
    pace.on_announced(announcements(500, deleted=True))
    assert await pace.turn(LARGE_STEP) == LARGE_STEP


@pytest.mark.parametrize("by", ["this replica", "another"])
async def test_after_a_step_others_make_a_change_for_each_row(by: str) -> None:
    pace = Pace(lambda: True)
    made = 0

    def others(count: int) -> None:
        nonlocal made
        made += count
        pace.on_commit(changes(count)) if by == "this replica" else pace.on_announced(announcements(count))

    assert await pace.turn(0) == LARGE_STEP
    for rows in (LARGE_STEP, SMALL_STEP, 100):
        made = 0
        others(1)  # while the step is written
        waiting = asyncio.ensure_future(pace.turn(rows))
        while not waiting.done():
            await asyncio.sleep(0)
            if not waiting.done():
                others(1)
        assert await waiting == SMALL_STEP
        assert made == rows


async def test_steps_grow_again_once_there_are_no_others() -> None:
    pace = Pace(lambda: True)
    await pace.turn(0)
    pace.on_commit(changes(LARGE_STEP))
    assert [await pace.turn(LARGE_STEP) for _ in range(4)] == [
        SMALL_STEP,
        2 * SMALL_STEP,
        LARGE_STEP,
        LARGE_STEP,
    ]


async def test_the_wait_after_a_large_step_is_bounded() -> None:
    """A job with very many rows does not make a turn larger: it is deleted in steps of its own."""
    pace = Pace(lambda: True)
    await pace.turn(0)
    pace.on_commit(changes(LARGE_STEP))
    assert await pace.turn(20_000) == SMALL_STEP


async def test_a_command_that_waits_counts_before_its_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few changes do not hold a step up: it comes at the end of the wait."""
    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 0.0)
    is_idle = True
    pace = Pace(lambda: is_idle)
    assert await pace.turn(1) == LARGE_STEP
    is_idle = False
    assert await pace.turn(1) == SMALL_STEP
    is_idle = True
    assert await pace.turn(1) == 2 * SMALL_STEP
