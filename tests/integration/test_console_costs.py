"""How the cost of consoles grows with their number: counted in tasks, statements, serialised prompts and
messages, never in time."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from functools import partial
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback_server.transport.convert import prompts as converted
from askback_server.transport.open_calls import StreamContext
from tests.support.requests import confirm
from tests.support.service import ServiceWorld
from tests.support.streams import Console

FEW, MANY = 5, 40
BURST = 30
COUNTED = 60
"""Consoles whose memory is counted. Python reuses some objects of earlier tests, which count as nothing."""
CONSOLE_BYTES = 15 * 1024
"""With a few deques, or events of asyncio, each console would take more."""
OF_SERVICE = tracemalloc.Filter(True, "*/askback_server/*", all_frames=True)


async def open_more(world: ServiceWorld, consoles: list[Console], count: int) -> None:
    """Open consoles of different people, until there are `count`."""
    while len(consoles) < count:
        console = world.console(world.as_user(f"user{len(consoles)}"))
        await console.hello()
        await console.snapshot()
        consoles.append(console)


def count_tasks() -> int:
    """The tasks of the service."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    return sum("askback_server" in coroutine.cr_code.co_filename for coroutine in coroutines)  # type: ignore[union-attr]


async def test_each_console_has_the_same_number_of_tasks(lite: ServiceWorld) -> None:
    consoles: list[Console] = []
    await open_more(lite, consoles, FEW)
    few = count_tasks()
    await open_more(lite, consoles, MANY)
    assert 0 < (count_tasks() - few) / (MANY - FEW) <= 3


async def test_an_idle_console_keeps_few_objects(lite: ServiceWorld) -> None:
    """Bytes of the objects that the service makes for each console; gRPC's own are not counted."""
    consoles: list[Console] = []
    await open_more(lite, consoles, FEW)
    tracemalloc.start(2)
    try:
        await open_more(lite, consoles, FEW + COUNTED)
        await lite.catch_up()
        gc.collect()
        traces = tracemalloc.take_snapshot().filter_traces([OF_SERVICE]).traces
        used = sum(trace.size for trace in traces)
    finally:
        tracemalloc.stop()
    assert 0 < used / COUNTED <= CONSOLE_BYTES


async def test_a_prompt_to_all_consoles_is_read_and_serialised_once(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    consoles: list[Console] = []
    made: list[str] = []
    serialise = converted.upserted_bytes._make

    def note(prompt: Any) -> bytes:
        made.append(prompt.prompt_id)
        return serialise(prompt)

    monkeypatch.setattr(converted.upserted_bytes, "_make", note)
    statements = 0
    read = lite.service.replica.jobs._read  # type: ignore[attr-defined]

    async def count(*args: Any) -> Any:
        nonlocal statements
        statements += 1
        return await read(*args)

    costs = []
    for number in (FEW, MANY):
        await open_more(lite, consoles, number)
        await lite.catch_up()
        made.clear()
        statements = 0
        with monkeypatch.context() as patch:
            patch.setattr(lite.service.replica.jobs, "_read", count)
            asked = await lite.create_prompt()
            for console in consoles:
                assert (await console.event("upserted")).prompt.prompt_id == asked.prompt_id
        assert made == [asked.prompt_id]
        costs.append(statements)
    assert costs[0] == costs[1]


async def test_a_burst_of_prompts_is_few_messages_to_each_of_many_consoles(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most one message for each batch of prompts that was committed."""
    written = batches = 0
    write = StreamContext.write

    async def count_message(self: Any, message: bytes) -> None:
        nonlocal written
        frames = hitl.ConverseResponse.FromString(message).frames
        written += any(frame.prompt_event.HasField("upserted") for frame in frames)
        await write(self, message)

    monkeypatch.setattr(StreamContext, "write", count_message)
    store = lite.service.replica.jobs
    commit = store.write

    async def count_batch(batch: Any) -> Any:
        nonlocal batches
        batches += 1
        return await commit(batch)

    monkeypatch.setattr(store, "write", count_batch)
    consoles: list[Console] = []
    for number in (FEW, MANY):
        await open_more(lite, consoles, number)
        written = batches = 0
        ask = partial(lite.create_prompt, confirm("Go on?"))
        await asyncio.gather(*(ask() for _ in range(BURST)))
        for console in consoles:
            for _ in range(BURST):
                await console.event("upserted")
        assert written <= batches * number, (written, batches)
