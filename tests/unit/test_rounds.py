"""Calls that are made during a round are the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.rounds import Rounds

MAXIMUM = 3


class Database:
    """Replies to each number with its tenfold, when it may."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.may_reply = asyncio.Event()
        self.calls = Rounds(self._run, MAXIMUM)

    async def _run(self, numbers: Sequence[int]) -> list[int]:
        self.rounds.append(list(numbers))
        await self.may_reply.wait()
        if 13 in numbers:
            raise ValueError("13")
        if 500 in numbers:
            raise StorageUnavailable("down")
        return [10 * number for number in numbers]

    async def start(self, *numbers: int) -> list[asyncio.Task[int]]:
        tasks = [asyncio.create_task(self.calls.call(number)) for number in numbers]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return tasks


async def test_calls_during_a_round_are_the_next_rounds_and_each_gets_its_result() -> None:
    database = Database()
    tasks = [*await database.start(1), *await database.start(2, 3, 4, 5)]
    assert database.rounds == [[1]], "the next round begins after the first"
    database.may_reply.set()
    assert await asyncio.gather(*tasks) == [10, 20, 30, 40, 50]
    assert database.rounds == [[1], [2, 3, 4], [5]]
    assert await database.calls.call(6) == 60


async def test_a_call_that_fails_does_not_fail_the_others_of_its_round() -> None:
    database = Database()
    database.may_reply.set()
    results = await asyncio.gather(*map(database.calls.call, (12, 13, 14)), return_exceptions=True)
    assert [results[0], str(results[1]), results[2]] == [120, "13", 140]
    assert database.rounds == [[12, 13, 14], [12], [13], [14]]


async def test_an_unavailable_database_fails_the_round_at_once() -> None:
    database = Database()
    database.may_reply.set()
    results = await asyncio.gather(*map(database.calls.call, (1, 500)), return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable] * 2
    assert database.rounds == [[1, 500]]


async def test_a_caller_that_leaves_takes_no_other_with_it() -> None:
    database = Database()
    first, second, third = [*await database.start(1), *await database.start(2, 3)]
    first.cancel()
    second.cancel()
    await asyncio.wait((first, second))
    database.may_reply.set()
    assert await third == 30
    assert database.rounds == [[1], [3]]
    with pytest.raises(asyncio.CancelledError):
        await second
