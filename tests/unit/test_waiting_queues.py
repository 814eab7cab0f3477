"""Queues that wait for a scan come in the order of their turns."""

from __future__ import annotations

import random

from askback_server.engine.waiting_queues import WaitingQueues


def take_all(waiting: WaitingQueues, turns: dict[str, int]) -> list[str]:
    found = []
    while (first := waiting.first(turns.__getitem__)) is not None:
        assert first == (turns[first[1]], first[1])
        waiting.remove(first[1])
        found.append(first[1])
    assert not waiting
    return found


def test_the_lowest_turn_comes_first_whatever_it_was_before() -> None:
    chance = random.Random(1)
    turns = {f"type{n:02}": chance.randrange(20) for n in range(50)}
    waiting = WaitingQueues()
    for job_type, turn in turns.items():
        waiting.add(job_type, turn, has_jobs=True)
    for _ in range(100):
        job_type = chance.choice([*turns])
        turns[job_type] += chance.randrange(20)
        if chance.random() < 0.5:
            waiting.remove(job_type)
        else:
            waiting.add(job_type, turns[job_type], has_jobs=False)
    for job_type, turn in turns.items():
        waiting.add(job_type, turn, has_jobs=False)
    turns |= {job_type: turn + 30 for job_type, turn in turns.items() if chance.random() < 0.5}
    assert take_all(waiting, turns) == sorted(turns, key=lambda t: (turns[t], t))


def test_a_queue_that_is_known_to_have_jobs_stays_so_until_it_is_removed() -> None:
    waiting = WaitingQueues()
    waiting.add("t", 0, has_jobs=True)
    waiting.add("t", 0, has_jobs=False)
    assert "t" in waiting
    assert waiting.has_jobs("t")
    waiting.remove("t")
    assert not waiting.has_jobs("t")
    waiting.add("t", 0, has_jobs=False)
    assert not waiting.has_jobs("t")


def test_queues_that_come_and_go_take_no_more_memory() -> None:
    """Also if no worker of the group has room, so that none is taken from it."""
    waiting = WaitingQueues()
    for turn in range(1_000):
        for job_type in ("a", "b"):
            waiting.add(job_type, turn, has_jobs=True)
            waiting.remove(job_type)
    assert len(waiting._heap) == 2
    assert waiting.first(lambda _: 0) is None
    assert not waiting._heap
