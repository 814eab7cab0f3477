"""The memory of streams is bounded, and a principal waits only because of its own streams."""

import asyncio

import pytest

from askback_server.domain.errors import AskbackError
from askback_server.sessions.fair_semaphore import FairSemaphore
from askback_server.sessions.memory_budget import SMALL_BYTES, Account, MemoryBudget

K = 1024


def account(unsent: MemoryBudget, subject: str, dropped: list[Account] | None = None) -> Account:
    def drop(_: AskbackError) -> None:
        if dropped is not None:
            dropped.append(found)

    found = unsent.account(subject, drop)
    return found


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_principal_with_the_most_bytes_loses_its_largest_stream() -> None:
    """A larger stream of a principal with fewer bytes in total stays."""
    unsent, dropped = MemoryBudget(1_000, 1_000), list[Account]()
    ada = account(unsent, "ada", dropped)
    eve = [account(unsent, "eve", dropped) for _ in range(3)]
    ada.set(390)
    for each, size in zip(eve, (200, 210, 190), strict=True):
        each.set(size)
    assert not dropped
    ada.set(401)
    assert dropped == [eve[1]]
    assert unsent.total == 791
    eve[1].set(50)  # it has ended, but its session does not know it yet
    assert unsent.total == 791
    for each in (ada, *eve):
        each.close()
    assert unsent.total == 0
    assert not unsent._used
    assert not unsent._open


async def test_a_principal_waits_for_room_and_others_do_not() -> None:
    unsent = MemoryBudget(10_000 * K, 100 * K)
    full, second, third = (account(unsent, "eve") for _ in range(3))
    give_back = await full.reserve(90 * K)
    waiting = [asyncio.create_task(each.reserve(60 * K)) for each in (second, third)]
    await turns()
    assert not any(task.done() for task in waiting)
    async with account(unsent, "ada").room(90 * K):
        pass
    async with full.room(SMALL_BYTES):  # small items never wait
        pass
    give_back()
    give_back()
    await turns()
    assert [task.done() for task in waiting] == [True, False], "in order, and one at a time"
    (await waiting[0])()
    await turns()
    (await waiting[1])()
    assert unsent.total == 0
    assert not unsent._waiting


async def test_an_item_larger_than_a_share_fits_when_nothing_else_is_kept() -> None:
    unsent = MemoryBudget(10_000 * K, 100 * K)
    async with account(unsent, "eve").room(900 * K):
        waiting = asyncio.create_task(account(unsent, "eve").reserve(900 * K))
        await turns()
        assert not waiting.done()
    (await waiting)()


@pytest.mark.parametrize("granted", [False, True])
async def test_a_cancelled_wait_takes_no_room(granted: bool) -> None:
    unsent = MemoryBudget(10_000 * K, 100 * K)
    give_back = await account(unsent, "eve").reserve(90 * K)
    first = asyncio.create_task(account(unsent, "eve").reserve(80 * K))
    second = asyncio.create_task(account(unsent, "eve").reserve(20 * K))
    await turns()
    if granted:
        give_back()
    first.cancel()
    await turns()
    give_back()
    async with asyncio.timeout(5):
        (await second)()
    assert unsent.total == 0


async def test_waiting_principals_take_turns() -> None:
    turns_, order = FairSemaphore(1), list[str]()

    async def one(subject: str) -> None:
        async with turns_.slot(subject):
            order.append(subject)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(one("eve")) for _ in range(50)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(one("ada")) for _ in range(2)]
    await asyncio.gather(*tasks)
    assert [n for n, who in enumerate(order) if who == "ada"] < [6]
    assert turns_._free == 1


async def test_the_turn_of_a_cancelled_wait_is_passed_on() -> None:
    turns_ = FairSemaphore(1)
    async with turns_.slot("eve"):
        waiting = [asyncio.create_task(turns_.acquire_for_iteration("eve")) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    waiting[1].cancel()  # its turn has come in the meantime
    await waiting[2]
    await turns()
    assert turns_._free == 1
