"""The command queue: it is bounded in total and per principal, and principals take turns."""

import asyncio
from typing import Any

from askback_server.domain.commands import CancelJob, Command
from askback_server.domain.principals import SYSTEM, Principal
from askback_server.engine import command_queue
from askback_server.engine.command_queue import CommandQueue
from askback_server.engine.grouping import Item

ADA, EVE = Principal("ada"), Principal("eve")
FUTURE: Any = asyncio.Future


class Answer(CancelJob):
    """An urgent command."""

    URGENT = True


def command(principal: Principal, number: int = 0, kind: type[CancelJob] = CancelJob) -> CancelJob:
    return kind(principal=principal, job_id=f"j{number}", reason="")


def fill(queue: CommandQueue, wanted: Command) -> int:
    count = 0
    while queue.has_room(wanted):
        queue.append(Item(wanted, FUTURE))
        count += 1
    return count


def test_one_principal_leaves_room_for_the_others() -> None:
    """This holds for all commands, also if a principal fills its share with urgent ones."""
    for kind, mine in ((CancelJob, 45), (Answer, 60)):
        queue = CommandQueue(100)
        assert fill(queue, command(EVE, kind=kind)) == mine
        assert not queue.has_room(command(EVE))
        assert queue.has_room(command(ADA))
        assert fill(queue, command(ADA)) == 75 - mine
        assert not queue.has_room(command(ADA))
        assert queue.has_room(command(ADA, kind=Answer))
        assert queue.has_room(command(SYSTEM, kind=Answer))


def test_the_bytes_of_one_principal_leave_room_for_the_others(monkeypatch: Any) -> None:
    size = command(EVE).size
    monkeypatch.setattr(command_queue, "MAX_BYTES", 100 * size)
    queue = CommandQueue(10**6)
    assert fill(queue, command(EVE)) == 45
    assert queue.has_room(command(ADA))


def test_taking_commands_makes_room() -> None:
    queue = CommandQueue(100)
    fill(queue, command(EVE))
    taken = queue.take(10, 10**9)
    assert queue.has_room(command(EVE))
    queue.put_back(taken)
    assert not queue.has_room(command(EVE))
    queue.take(100, 10**9)
    assert (len(queue), queue.bytes, queue._counts, queue._sizes) == (0, 0, {}, {})


def test_principals_take_turns_and_each_keeps_its_order() -> None:
    def names(items: list[Item]) -> list[str]:
        return [f"{i.command.principal.subject} {i.command.job_id}" for i in items]

    queue = CommandQueue()
    for principal, count in ((EVE, 4), (ADA, 2)):
        for n in range(count):
            queue.append(Item(command(principal, n), FUTURE))
    first = queue.take(2, 10**9)
    assert names(first) == ["eve j0", "ada j0"]
    queue.put_back(first)
    assert len(queue) == len(list(queue)) == 6
    assert names(queue.take(10, 10**9)) == ["eve j0", "ada j0", "eve j1", "ada j1", "eve j2", "eve j3"]


def test_a_batch_with_commands_of_callers_has_few_of_the_service() -> None:
    def taken(callers: int, system: int) -> tuple[int, int]:
        queue = CommandQueue()
        for n in range(system):
            queue.append(Item(command(SYSTEM, n), FUTURE))
        for n in range(callers):
            queue.append(Item(command((ADA, EVE)[n % 2], n), FUTURE))
        found = [item.command.principal for item in queue.take(256, 10**9)]
        assert len(queue) == callers + system - len(found)
        return len(found) - found.count(SYSTEM), found.count(SYSTEM)

    assert taken(callers=0, system=50) == (0, 50)
    assert taken(callers=1, system=50) == (1, 8)
    assert taken(callers=20, system=50) == (20, 20)
    assert taken(callers=20, system=3) == (20, 3)
