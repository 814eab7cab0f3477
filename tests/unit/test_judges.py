"""The queue of large answers that wait to be checked: who may wait, and whose turn is next."""

import asyncio

import pytest

from askback_server.domain.errors import QueueFull
from askback_server.domain.forms import SchemaForm, Unjudged
from askback_server.domain.json_text import Violation
from askback_server.engine.judges import MAX_WAITING, MAX_WAITING_OF_ONE, Judges

Found = tuple[Violation, ...]


class Stopped(Judges):
    """Judges one answer when the test releases it, and records which."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Semaphore(0)
        self.judged: list[str] = []

    async def _judge_one(self, asked: Unjudged) -> Found:
        await self.go.acquire()
        self.judged.append(asked.values_json)
        return ()


async def ask(judges: Judges, subject: str, namespace: str, name: str) -> asyncio.Task[Found]:
    """Start judging an answer; returns its task, which waits or was refused."""
    task = asyncio.create_task(judges.judge(subject, namespace, Unjudged(SchemaForm("{}"), name, 1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def fill(judges: Judges, subject: str, count: int, namespace: str = "") -> list[asyncio.Task[Found]]:
    """The given number of answers of a principal, each in its own namespace if none is named."""
    return [await ask(judges, subject, namespace or f"n{n}", f"{subject}{n}") for n in range(count)]


def refusals(tasks: list[asyncio.Task[Found]]) -> list[bool]:
    return [t.done() and isinstance(t.exception(), QueueFull) for t in tasks]


async def test_one_principals_waiting_answers_are_limited_over_all_namespaces() -> None:
    judges = Stopped()
    tasks = await fill(judges, "eve", MAX_WAITING)
    # One of them is being judged and no longer waits.
    assert refusals(tasks) == [False] * (MAX_WAITING_OF_ONE + 1) + [True] * (
        MAX_WAITING - MAX_WAITING_OF_ONE - 1
    )
    judges.close()


async def test_a_full_queue_admits_another_principal() -> None:
    """Eight principals with the maximum of each. The last answer of one of them is displaced."""
    judges = Stopped()
    tasks = await fill(judges, "first", 1)
    for n in range(MAX_WAITING // MAX_WAITING_OF_ONE):
        tasks += await fill(judges, f"eve{n}-", MAX_WAITING_OF_ONE)
    assert not any(refusals(tasks))
    ana = await ask(judges, "ana", "home", "ana")
    assert not ana.done()
    assert sum(refusals(tasks)) == 1
    judges.close()


async def test_a_full_namespace_admits_another_principal() -> None:
    judges = Stopped()
    tasks = await fill(judges, "eve", MAX_WAITING_OF_ONE + 1, "home")
    ana = await ask(judges, "ana", "home", "ana")
    assert not ana.done()
    assert refusals(tasks) == [False] * MAX_WAITING_OF_ONE + [True]
    judges.close()


async def test_principals_with_equal_shares_do_not_displace_one_another() -> None:
    judges = Stopped()
    tasks = [await ask(judges, f"p{n}", "home", f"p{n}") for n in range(MAX_WAITING_OF_ONE + 1)]
    late = await ask(judges, "late", "home", "late")
    assert refusals([late]) == [True]
    assert not any(refusals(tasks))
    judges.close()


@pytest.mark.parametrize("namespace", ["", "home"])
async def test_principals_with_waiting_answers_take_turns(namespace: str) -> None:
    judges = Stopped()
    eve = await fill(judges, "eve", 5, namespace)
    ana = await fill(judges, "ana", 2, "home")
    for _ in range(7):
        judges.go.release()
    await asyncio.gather(*eve, *ana)
    # The second answer was already next before the other principal arrived.
    assert judges.judged == ["eve0", "eve1", "ana0", "eve2", "ana1", "eve3", "eve4"]
