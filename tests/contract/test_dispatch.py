"""Dispatch is fair: no backlog of one queue (a namespace and a job type) starves another's jobs."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain.jobs import Job
from askback_server.engine import dispatch
from askback_server.engine.concurrency import QueueKey
from askback_server.engine.dispatch import Dispatcher
from askback_server.engine.spread import Spread
from tests.support.storage import Node, creation, get_job, new_job, until
from tests.support.taking import Hand, dispatching, finish

SECOND = timedelta(seconds=1)


async def put(node: Node, count: int, batch: int = 500, **fields: object) -> None:
    """So many jobs that are ready since a minute."""
    ready = await node.database.ping() - 60 * SECOND
    jobs = [new_job(ready_at=ready, created_at=ready, **fields) for _ in range(count)]
    for at in range(0, count, batch):
        assert not (await node.database.jobs.write([creation(j) for j in jobs[at : at + batch]])).lost


class Busy:
    """A hand that completes each job it is given, and takes the next."""

    def __init__(self, node: Node, dispatcher: Dispatcher, hand: Hand) -> None:
        self.hand = hand
        self._work: set[asyncio.Task[None]] = set()

        def got(job: Job) -> None:
            task = asyncio.create_task(finish(node, dispatcher, hand, job))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

        hand.got = got
        dispatcher.add(hand)


async def test_a_namespace_s_backlog_starves_no_other(here: Node) -> None:
    """10,000 jobs of one tenant beside ten of another, older and more urgent: the ten are done
    after not many more than ten of the others."""
    await put(here, 10_000, namespace="big", priority=100)
    await put(here, 10, namespace="small")
    async with dispatching(here) as dispatcher:
        big = Hand(await here.session(namespace="big"), "refund", most=4, namespace="big")
        small = Hand(await here.session(namespace="small"), "refund", most=4, namespace="small")
        Busy(here, dispatcher, big)
        Busy(here, dispatcher, small)
        await until(lambda: len(small.taken) == 10, "the small tenant's jobs are taken")
        assert len(big.taken) <= 200, len(big.taken)
        assert big.taken


async def test_a_type_s_backlog_starves_no_other_on_the_same_worker(here: Node) -> None:
    """Whose turn is longest ago comes first, whatever the others' priority."""
    await put(here, 2_000, job_type="mail", priority=1_000)
    await put(here, 10, job_type="refund")
    async with dispatching(here) as dispatcher:
        hand = Hand(await here.session(), "mail", "refund", "nothing", most=4)
        Busy(here, dispatcher, hand)
        await until(lambda: hand.types_taken.count("refund") == 10, "the few are taken")
        others = hand.types_taken.index("refund"), hand.types_taken.count("mail")
        assert others[0] <= 1
        assert others[1] <= 40, Counter(hand.types_taken)
        # Alone again, the backlog has all the room.
        before = len(hand.taken)
        await until(lambda: len(hand.taken) >= before + 100, "the others go on")
        assert set(hand.types_taken[before:]) == {"mail"}


async def test_many_types_share_few_places(here: Node) -> None:
    """More types than one look reads of each: all have their turn, and room is never left unused."""
    types = [f"type{i:03}" for i in range(150)]
    for job_type in types:
        await put(here, 4, job_type=job_type)
    async with dispatching(here) as dispatcher:
        hand = Hand(await here.session(), *types, most=20)
        Busy(here, dispatcher, hand)
        await until(lambda: len(hand.taken) >= 300, "half of the jobs are taken")
        assert max(Counter(hand.types_taken[:150]).values()) <= 2
        await until(lambda: len(hand.taken) == 600, "all jobs are taken")


async def test_room_is_filled_from_one_queue_when_the_others_are_empty(here: Node) -> None:
    await put(here, 300)
    async with dispatching(here) as dispatcher:
        hand = Hand(await here.session(), "refund", *(f"none{i}" for i in range(50)), most=250)
        dispatcher.add(hand)
        await until(lambda: len(hand.taken) == 250, "the room is filled")
        assert hand.room() == 0


async def test_who_left_while_the_queues_were_read_is_leased_nothing(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session would keep the job from all others until it expires."""
    own, reading, may_read = here.database.queue.claimable, asyncio.Event(), asyncio.Event()

    async def claimable(*args: Any) -> dict[str, list[str]]:
        reading.set()
        await may_read.wait()
        return await own(*args)

    monkeypatch.setattr(here.database.queue, "claimable", claimable)
    await put(here, 1)
    async with dispatching(here) as dispatcher:
        leaves, stays = [Hand(await here.session(), "refund", most=1) for _ in range(2)]
        dispatcher.add(leaves)
        await reading.wait()
        dispatcher.remove(leaves)
        dispatcher.add(stays)
        may_read.set()
        await until(lambda: leaves.taken or stays.taken, "the job is leased")
        assert [len(hand.taken) for hand in (leaves, stays)] == [0, 1]


async def test_what_found_no_room_is_looked_for_when_there_is(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and not by the next poll."""
    monkeypatch.setattr(dispatch, "POLL", 3_600.0)
    await put(here, 2)
    await put(here, 2, job_type="mail")
    async with dispatching(here) as dispatcher:
        hand = Hand(await here.session(), "refund", "mail", most=3)
        dispatcher.add(hand)
        await until(lambda: hand.held == 3, "three are taken")
        await finish(here, dispatcher, hand, hand.taken[0])
        await until(lambda: len(hand.taken) == 4, "the fourth is taken")


async def test_within_a_queue_priority_and_age_decide(here: Node) -> None:
    ready = await here.database.ping() - 60 * SECOND
    jobs = [new_job(priority=p, ready_at=ready + a * SECOND) for p in (0, 5) for a in (3, 1, 2)]
    await here.database.jobs.write([creation(j) for j in jobs])
    expected = sorted(jobs, key=lambda j: (-j.priority, j.ready_at or ready))
    async with dispatching(here) as dispatcher:
        hand = Hand(await here.session(), "refund", most=1)
        Busy(here, dispatcher, hand)
        await until(lambda: len(hand.taken) == len(jobs), "all are taken")
    assert [j.job_id for j in hand.taken] == [j.job_id for j in expected]


async def test_two_replicas_share_a_backlog_and_take_each_job_once(
    here: Node, there: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They see the same first jobs; who comes second looks further on, so that most leases are not
    tried in vain, and nobody takes more than it has room for."""
    await put(here, 400)
    in_vain = []
    own = Spread.widen

    def widen(self: Spread, queue: QueueKey) -> None:
        in_vain.append(queue)
        own(self, queue)

    monkeypatch.setattr(Spread, "widen", widen)
    async with dispatching(here) as at_a, dispatching(there) as at_b:
        a = Hand(await here.session(), "refund", most=10)
        b = Hand(await there.session(), "refund", most=10)
        Busy(here, at_a, a)
        Busy(there, at_b, b)
        await until(lambda: len(a.taken) + len(b.taken) >= 400, "all are taken")
    ids = [j.job_id for j in (*a.taken, *b.taken)]
    assert len(ids) == len(set(ids)) == 400
    assert min(len(a.taken), len(b.taken)) >= 40, (len(a.taken), len(b.taken))
    assert len(in_vain) < 200, len(in_vain)
    assert (await get_job(here.database, ids[0])).token == 1
