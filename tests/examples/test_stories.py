"""Each example survives the death of its worker and of the server.

The result follows from the answers, no question is asked twice, and no effect happens twice.
"""

from __future__ import annotations

import asyncio
import signal

import pytest

from askback import Client, ConsolePrompt, DecisionKind
from askback.demo.story import NAMES, load
from tests.examples.runner import TTL, ExampleRunner
from tests.support.processes import Processes, eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

STEPS = {"release": "at-10", "understanding": "round-1", "import": "line-4"}
"""A step of each story with an effect outside of the worker."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_worker_killed_at_a_step_is_succeeded_by_the_next(
    processes: Processes, database: str, name: str, moment: str
) -> None:
    """The effect has happened, and its checkpoint is stored or not; the next worker continues."""
    server = await processes.server(database, lease_ttl=TTL)
    runner = ExampleRunner(processes, server, load(name))
    dying = runner.start_worker(dies=(moment, STEPS[name]))

    async def start_successor() -> None:
        assert await dying.wait_for_end() == -signal.SIGKILL
        runner.start_worker()

    successor = asyncio.create_task(start_successor())
    stored = await runner.play()
    await successor
    assert stored.job.attempt == 2


@pytest.mark.parametrize("name", NAMES)
async def test_a_question_survives_the_death_of_worker_and_server(
    processes: Processes, database: str, name: str
) -> None:
    """Both are killed while it is open; the answer is given while no worker runs."""
    server = await processes.server(database, lease_ttl=TTL)
    runner = ExampleRunner(processes, server, load(name))
    first = runner.start_worker()

    async def kill_all(prompt: ConsolePrompt) -> None:
        if prompt.key == runner.story.kill_at:
            first.kill()
            await server.crash_and_serve()

    async def start_successor(prompt: ConsolePrompt) -> None:
        if prompt.key == runner.story.kill_at:
            runner.start_worker()

    await runner.play(before=kill_all, after=start_successor)


async def test_importing_a_file_again_asks_and_writes_nothing(processes: Processes, database: str) -> None:
    """Its rows are in the table already, and count as `same`."""
    server = await processes.server(database, lease_ttl=TTL)
    runner = ExampleRunner(processes, server, load("import"))
    runner.start_worker()
    async with runner.client() as client:
        text = "name,email,joined\nAda Lovelace,ada@example.org,2024-11-02\n"
        first = await client.start("import", {"csv": text})
        assert (await first.result())["written"] == 1
        again = await client.start("import", {"csv": text})
        assert (await again.result())["same"] == 1
        assert len(runner.customers) == 1
        assert not (await again.job()).proto.rounds


async def test_a_cancelled_release_is_rolled_back(processes: Processes, database: str) -> None:
    """It is cancelled during the roll-out; the previous version is live again."""
    server = await processes.server(database, lease_ttl=TTL)
    story = load("release")
    story.input["pace"] = 60.0
    runner = ExampleRunner(processes, server, story)
    runner.start_worker()

    async with runner.client() as client, client.console() as console:
        run = await runner.start(client)
        answering = asyncio.create_task(runner.answer_all(console))
        await eventually(lambda: runner.site and runner.site["percent"] == 10, "the canary is out")
        await run.cancel("the wrong branch")
        await eventually(lambda: _is_cancelled(client, run.job_id), "the job is cancelled")
        answering.cancel()
    assert runner.site is not None
    assert (runner.site["version"], runner.site["percent"]) == ("1.3.0", 100)


async def test_a_release_continues_on_another_worker_after_the_first_stops(
    processes: Processes, database: str
) -> None:
    """The canary stays live, and the prompt that stops the release stays open for the next worker."""
    server = await processes.server(database, lease_ttl=TTL)
    story = load("release")
    story.input["pace"] = 60.0
    runner = ExampleRunner(processes, server, story)
    first = runner.start_worker()
    async with runner.client() as client, client.console() as console:
        run = await runner.start(client)
        answering = asyncio.create_task(runner.answer_all(console))
        await eventually(lambda: runner.site and runner.site["percent"] == 10, "the canary is out")
        assert await first.terminate() == 0
        answering.cancel()
        assert runner.site is not None
        assert (runner.site["version"], runner.site["percent"]) == ("1.4.0", 10)
        runner.start_worker()
        stop = await client.prompt(job_id=run.job_id, key="stop")
        await client.answer(stop, DecisionKind.ACCEPT, comment="errors are rising")
        assert (await run.result())["why"] == "errors are rising"
    assert (runner.site["version"], runner.site["percent"]) == ("1.3.0", 100)


async def _is_cancelled(client: Client, job_id: str) -> bool:
    return (await client.get(job_id)).state == "CANCELLED"
