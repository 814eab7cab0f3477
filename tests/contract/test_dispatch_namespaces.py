"""What one namespace has, however much or slow, delays the dispatch of no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from askback_server.engine import dispatch
from askback_server.engine.concurrency import Concurrency
from askback_server.engine.consumers import Consumers
from askback_server.engine.dispatch import Dispatcher
from tests.contract.test_dispatch import put
from tests.support.storage import Node, until
from tests.support.taking import Hand, dispatching


class Watched:
    """The queue of a node: it notes each look, and holds those of one namespace until released."""

    def __init__(self, queue: Any, slow: str = "") -> None:
        self._queue = queue
        self._slow = slow
        self.release = asyncio.Event()
        self.looks: list[tuple[str, int]] = []

    async def claimable(self, namespace: str, limits: Mapping[str, int]) -> dict[str, list[str]]:
        self.looks.append((namespace, len(limits)))
        if namespace == self._slow:
            await self.release.wait()
        found: dict[str, list[str]] = await self._queue.claimable(namespace, limits)
        return found


async def test_a_slow_look_in_one_namespace_delays_no_other(here: Node) -> None:
    await put(here, 1, namespace="slow")
    await put(here, 20, namespace="quick")
    async with dispatching(here) as dispatcher:
        queue = dispatcher._queue = Watched(here.database.queue, "slow")  # type: ignore[assignment]
        slow = Hand(await here.session(namespace="slow"), "refund", most=9, namespace="slow")
        dispatcher.add(slow)
        await until(lambda: ("slow", 1) in queue.looks, "the slow namespace is looked at")
        quick = Hand(await here.session(namespace="quick"), "refund", most=20, namespace="quick")
        dispatcher.add(quick)
        await until(lambda: len(quick.taken) == 20, "the quick namespace's jobs are taken")
        assert not slow.taken
        queue.release.set()
        await until(lambda: slow.taken, "then the slow one's too")


async def test_thousands_of_job_types_are_looked_at_in_turns(here: Node) -> None:
    """Every type's jobs are found, a bounded number of types at a time, and the others' in between."""
    types = [f"type{n:05}" for n in range(3_000)]
    for job_type in (types[0], types[1_500], types[-1]):
        await put(here, 1, namespace="many", job_type=job_type)
    async with dispatching(here) as dispatcher:
        queue = dispatcher._queue = Watched(here.database.queue)  # type: ignore[assignment]
        hands = [
            Hand(await here.session(namespace="many"), *types[at : at + 500], most=1, namespace="many")
            for at in range(0, len(types), 500)
        ]
        for hand in hands:
            dispatcher.add(hand)
        await put(here, 1, namespace="small")
        small = Hand(await here.session(namespace="small"), "refund", most=1, namespace="small")
        dispatcher.add(small)
        await until(lambda: small.taken, "the small namespace's job is taken")
        await until(lambda: sum(len(hand.taken) for hand in hands) == 3, "all of the many types' are taken")
        looks = [namespace for namespace, _ in queue.looks]
        assert looks.index("small") < len(types) // dispatch.TYPES, "a whole round came before it"
        assert max(count for _, count in queue.looks) <= dispatch.TYPES


async def test_news_of_one_namespace_is_no_reason_to_look_in_another(here: Node) -> None:
    queue: Any = Watched(here.database.queue)
    concurrency = Concurrency({}, here.database.queue_locks, here.clock)
    dispatcher = Dispatcher(here.engine, queue, Consumers(), here.clock, concurrency)

    async def looked_at() -> list[str]:
        queue.looks.clear()
        dispatcher._start_scans()
        await asyncio.gather(*dispatcher._tasks)
        return [namespace for namespace, _ in queue.looks]

    for namespace in ("busy", "idle"):
        dispatcher.add(Hand(await here.session(namespace=namespace), "t", most=99, namespace=namespace))
    assert await looked_at() == ["busy", "idle"]
    assert await looked_at() == []
    dispatcher._request_scan("busy")
    assert await looked_at() == ["busy"]
