"""`SmallEvent` behaves like `asyncio.Event`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from askback_server.sessions.small_event import SmallEvent

EVENTS = pytest.mark.parametrize("event_type", [asyncio.Event, SmallEvent])


@EVENTS
async def test_wait_returns_at_once_while_it_is_set(event_type: Any) -> None:
    event = event_type()
    assert not event.is_set()
    event.set()
    await event.wait()
    assert event.is_set()


@EVENTS
async def test_set_wakes_all_that_wait_also_if_it_is_cleared_at_once(event_type: Any) -> None:
    event = event_type()
    waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    event.set()
    event.clear()
    await asyncio.gather(*waiting)
    assert not event.is_set()


@EVENTS
async def test_after_clear_wait_waits_for_the_next_set(event_type: Any) -> None:
    event = event_type()
    event.set()
    event.clear()
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    event.set()
    await waiting


@EVENTS
async def test_a_cancelled_wait_leaves_the_others(event_type: Any) -> None:
    event = event_type()
    one, other = (asyncio.create_task(event.wait()) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    event.set()
    await other
    assert one.cancelled()


async def test_cancelled_waits_leave_nothing() -> None:
    event = SmallEvent()
    waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not event._waiting


async def test_set_and_a_cancel_in_the_same_turn_wake_the_others() -> None:
    event = SmallEvent()
    one, other = (asyncio.create_task(event.wait()) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    event.set()
    await other
    await asyncio.gather(one, return_exceptions=True)
