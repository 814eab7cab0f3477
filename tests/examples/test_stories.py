"""Each example against a fresh server, its worker and the server killed in between.

The result is exactly what the answers imply, no question is asked twice, no effect happens twice.
"""

from __future__ import annotations

import asyncio
import signal

import pytest

from askback import Client, ConsolePrompt, DecisionKind
from askback.demo.story import NAMES, load
from tests.examples.cast import TTL, Cast
from tests.support.processes import Processes, eventually

pytestmark = pytest.mark.timeout(120)

STEPS = {"release": "at-10", "understanding": "round-1", "import": "line-4"}
"""A step of each story that has an effect outside of the worker."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_worker_is_killed_at_a_step(
    processes: Processes, database: str, name: str, moment: str
) -> None:
    """Its effect has happened, and the checkpoint is there or not; the next worker goes on."""
    server = await processes.server(database, lease_ttl=TTL)
    cast = Cast(processes, server, load(name))
    dying = cast.worker(dies=(moment, STEPS[name]))

    async def succeed() -> None:
        assert await dying.wait_for_end() == -signal.SIGKILL
        cast.worker()

    succeeding = asyncio.create_task(succeed())
    stored = await cast.play()
    await succeeding
    assert stored.job.attempt == 2


@pytest.mark.parametrize("name", NAMES)
async def test_all_are_killed_while_a_question_is_open(
    processes: Processes, database: str, name: str
) -> None:
    """Worker and server at once; the answer is given while there is no worker at all."""
    server = await processes.server(database, lease_ttl=TTL)
    cast = Cast(processes, server, load(name))
    first = cast.worker()

    async def kill_all(prompt: ConsolePrompt) -> None:
        if prompt.key == cast.story.kill_at:
            first.kill()
            await server.crash_and_serve()

    async def succeed(prompt: ConsolePrompt) -> None:
        if prompt.key == cast.story.kill_at:
            cast.worker()

    await cast.play(before=kill_all, after=succeed)


async def test_a_file_that_is_imported_again_asks_and_writes_nothing(
    processes: Processes, database: str
) -> None:
    """What is in the table already is the same, and whom it clashes with stays."""
    server = await processes.server(database, lease_ttl=TTL)
    cast = Cast(processes, server, load("import"))
    cast.worker()
    async with cast.client() as client:
        text = "name,email,joined\nAda Lovelace,ada@example.org,2024-11-02\n"
        first = await client.start("import", {"csv": text})
        assert (await first.result())["written"] == 1
        again = await client.start("import", {"csv": text})
        assert (await again.result())["same"] == 1
        assert len(cast.customers) == 1
        assert not (await again.job()).proto.rounds


async def test_a_release_that_is_cancelled_goes_back(processes: Processes, database: str) -> None:
    """In the middle of the roll-out: what was live before is live again."""
    server = await processes.server(database, lease_ttl=TTL)
    story = load("release")
    story.input["pace"] = 60.0
    cast = Cast(processes, server, story)
    cast.worker()

    async with cast.client() as client, client.console() as desk:
        run = await cast.start(client)
        sitting = asyncio.create_task(cast.sit(desk))
        await eventually(lambda: cast.site and cast.site["percent"] == 10, "the canary is out")
        await run.cancel("the wrong branch")
        await eventually(lambda: _cancelled(client, run.job_id), "the job is cancelled")
        sitting.cancel()
    assert cast.site is not None
    assert (cast.site["version"], cast.site["percent"]) == ("1.3.0", 100)


async def test_a_release_whose_worker_is_stopped_goes_on_elsewhere(
    processes: Processes, database: str
) -> None:
    """What is out stays out; the stop button is still there for the next worker."""
    server = await processes.server(database, lease_ttl=TTL)
    story = load("release")
    story.input["pace"] = 60.0
    cast = Cast(processes, server, story)
    first = cast.worker()
    async with cast.client() as client, client.console() as desk:
        run = await cast.start(client)
        sitting = asyncio.create_task(cast.sit(desk))
        await eventually(lambda: cast.site and cast.site["percent"] == 10, "the canary is out")
        assert await first.terminate() == 0
        sitting.cancel()
        assert cast.site is not None
        assert (cast.site["version"], cast.site["percent"]) == ("1.4.0", 10)
        cast.worker()
        stop = await client.prompt(job_id=run.job_id, key="stop")
        await client.answer(stop, DecisionKind.ACCEPT, comment="errors are rising")
        assert (await run.result())["why"] == "errors are rising"
    assert (cast.site["version"], cast.site["percent"]) == ("1.3.0", 100)


async def _cancelled(client: Client, job_id: str) -> bool:
    return (await client.get(job_id)).state == "CANCELLED"
