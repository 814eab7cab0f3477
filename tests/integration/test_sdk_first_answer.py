"""A function that continues with the first of several answers, while it is held, parked or drained."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from askback import Client, Job, JobFailed, JobState, PromptInfo, Run, Worker
from askback.testing import Server
from tests.support.refusals import SOON

runs: list[str] = []
"""A log of the runs of the functions."""
steps: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    runs.clear()
    steps.clear()


def worker_for(target: str, park_after: float | None, name: str = "w") -> Worker:
    worker = Worker(target, worker_id=name, park_after=park_after, drain_timeout=0.2)

    @worker.job("first")
    async def first(job: Job, abandon: bool = True) -> list[str]:
        """Continues with the first answer."""
        runs.append(job.job_id)
        tasks = [asyncio.create_task(job.confirm(f"{key}?", key=key)) for key in "abc"]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if abandon:
            for task in rest:
                task.cancel()
        return [(await task).prompt.key for task in done]

    @worker.job("then")
    async def then(job: Job) -> str:
        """Continues with the first answer, and asks another question while the others are open."""
        runs.append(job.job_id)
        tasks = [asyncio.create_task(job.confirm(f"{key}?", key=key)) for key in "ab"]
        _, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        return (await job.confirm("c?", key="c")).prompt.key

    @worker.job("working")
    async def working(job: Job) -> str:
        """Continues with the first answer, and works while the other is open."""
        runs.append(job.job_id)
        tasks = [asyncio.create_task(job.confirm(f"{key}?", key=key)) for key in "ab"]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return await job.step("work", slow)

    async def slow() -> str:
        steps.append(name)
        if len(steps) == 1:
            await asyncio.sleep(SOON)
        return f"done by {name}"

    @worker.job("all")
    async def every(job: Job, count: int) -> int:
        """Waits for all answers."""
        runs.append(job.job_id)
        return len(await asyncio.gather(*(job.confirm(f"{n}?", key=f"k{n}") for n in range(count))))

    @worker.job("each")
    async def each(job: Job) -> list[str]:
        """Processes each answer as it arrives."""
        runs.append(job.job_id)
        seen = []
        for task in asyncio.as_completed([job.confirm(f"{key}?", key=key) for key in "abc"]):
            key = (await task).prompt.key
            await job.step(f"did {key}", steps.append, key)
            seen.append(key)
        return sorted(seen)

    return worker


@asynccontextmanager
async def at_work(server: Server, park_after: float | None) -> AsyncIterator[Client]:
    async with worker_for(server.target, park_after), Client(server.target, user="ana") as client:
        yield client


async def wait_for_prompts(client: Client, run: Run[Any], *keys: str) -> dict[str, PromptInfo]:
    """Wait until prompts with these keys are open; returns the open prompts by key."""
    async with asyncio.timeout(SOON):
        while True:
            found = {p.key: p async for p in client.prompts(job_id=run.job_id)}
            if found.keys() >= set(keys):
                return found
            await asyncio.sleep(0.02)


async def wait_for_holder(run: Run[Any], yes: bool) -> None:
    """Wait until a worker holds the job, or none does."""
    async with asyncio.timeout(SOON):
        while bool((await run.job()).worker_id) is not yes:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def result(run: Run[Any]) -> Any:
    async with asyncio.timeout(SOON):
        return await run.result()


@pytest.mark.parametrize("park_after", [None, 0.1])
@pytest.mark.parametrize("abandon", [True, False])
async def test_a_job_continues_with_the_first_answer(
    askback_server: Server, park_after: float | None, abandon: bool
) -> None:
    async with at_work(askback_server, park_after) as client:
        run = await client.start("first", {"abandon": abandon})
        prompts = await wait_for_prompts(client, run, "a", "b", "c")
        await wait_for_holder(run, park_after is None)
        assert (await run.job()).state is JobState.PENDING_HITL
        await client.answer(prompts["b"], "ACCEPT")
        assert await result(run) == ["b"]
        assert len(runs) == (1 if park_after is None else 2)


@pytest.mark.parametrize("park_after", [None, 0.1])
async def test_a_later_question_does_not_wait_for_abandoned_ones(
    askback_server: Server, park_after: float | None
) -> None:
    async with at_work(askback_server, park_after) as client:
        run = await client.start("then")
        prompts = await wait_for_prompts(client, run, "a", "b")
        await wait_for_holder(run, park_after is None)
        await client.answer(prompts["a"], "ACCEPT")
        prompts = await wait_for_prompts(client, run, "b", "c")
        await wait_for_holder(run, park_after is None)
        assert (await run.job()).state is JobState.PENDING_HITL
        await client.answer(prompts["c"], "ACCEPT")
        assert await result(run) == "c"


@pytest.mark.parametrize("park_after", [None, 0.1])
async def test_each_answer_is_processed_as_it_arrives(
    askback_server: Server, park_after: float | None
) -> None:
    async with at_work(askback_server, park_after) as client:
        run = await client.start("each")
        prompts = await wait_for_prompts(client, run, "a", "b", "c")
        for number, key in enumerate("cab", 1):
            await wait_for_holder(run, park_after is None)
            await client.answer(prompts[key], "ACCEPT")
            async with asyncio.timeout(SOON):
                while len(steps) < number:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        assert await result(run) == ["a", "b", "c"]
        assert steps == ["c", "a", "b"]


async def test_a_withdrawal_wakes_a_parked_job(askback_server: Server) -> None:
    async with at_work(askback_server, 0.1) as client:
        run = await client.start("first")
        prompts = await wait_for_prompts(client, run, "a", "b", "c")
        await wait_for_holder(run, False)
        await client.cancel_prompt(prompts["a"].prompt_id)
        with pytest.raises(JobFailed, match="was withdrawn"):
            await result(run)


@pytest.mark.parametrize("stop", ["drain", "at once"])
@pytest.mark.parametrize("again", [False, True], ids=["first run", "run again"])
async def test_work_on_the_first_answer_is_rerun_after_its_worker_stops(
    askback_server: Server, stop: str, again: bool
) -> None:
    """The worker stops while it works on an answer and a question is open: the next worker continues."""
    async with Client(askback_server.target, user="ana") as client:
        old = worker_for(askback_server.target, 0.1 if again else None, "old")
        await old.start()
        run = await client.start("working")
        prompts = await wait_for_prompts(client, run, "a", "b")
        await wait_for_holder(run, not again)
        await client.answer(prompts["a"], "ACCEPT")
        async with asyncio.timeout(SOON):
            while not steps:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await old.aclose(drain_timeout=0.2 if stop == "drain" else 0)
        async with worker_for(askback_server.target, None, "new"):
            assert await result(run) == "done by new"
        assert (await run.job()).attempt == 1


async def test_a_batch_that_is_parked_is_not_run_once_for_every_answer(askback_server: Server) -> None:
    count = 24
    async with at_work(askback_server, 0.05) as client:
        run = await client.start("all", {"count": count})
        prompts = await wait_for_prompts(client, run, *(f"k{n}" for n in range(count)))
        for n in range(count):
            await wait_for_holder(run, False) if n < 3 else await asyncio.sleep(0.1)
            await client.answer(prompts[f"k{n}"], "ACCEPT")
        assert await result(run) == count
        assert 3 <= len(runs) <= 8, "the time until it is parked doubles with every answer"
        log = [event.type async for event in run.watch()]
        assert log.count("PROMPT_ASKED") == count
        assert log.count("JOB_WAITS") <= len(runs)


async def test_a_parked_job_is_not_run_before_an_answer(askback_server: Server) -> None:
    async with at_work(askback_server, 0.05) as client:
        run = await client.start("all", {"count": 3})
        await wait_for_prompts(client, run, "k0", "k1", "k2")
        await wait_for_holder(run, False)
        await client.start("all", {"count": 0})
        await asyncio.sleep(0.5)  # nothing is to happen
        assert runs.count(run.job_id) == 1
