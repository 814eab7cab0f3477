"""Fixtures: a scripted server and a worker connected to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.support.fake_server import FakeServer
from tests.support.worker_harness import WorkerHarness


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
async def harness(server: FakeServer) -> AsyncIterator[WorkerHarness]:
    harness = WorkerHarness(server)
    yield harness
    if harness.worker is not None:
        closing = asyncio.create_task(harness.worker.aclose(drain_timeout=0))
        # The worker releases the jobs that it still runs, and waits five seconds for the replies.
        while harness.worker.holding and not closing.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await harness.wait_for_end()
        while not closing.done():
            harness.stream.end()
            await asyncio.wait((closing,), timeout=0.1)
    left = {task for task in asyncio.all_tasks() if task.get_name().startswith("askback")}
    assert not left
