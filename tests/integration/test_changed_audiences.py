"""A watch of a job's head follows the audiences of the job's prompts, and the watcher's groups and roles."""

import asyncio
from typing import Any

import grpc
import pytest

from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from tests.support import job_heads
from tests.support.job_heads import Tokens, all_events, busy_job, names
from tests.support.refusals import SOON, expect_refusal, refusal_of
from tests.support.requests import answer, audience, confirm, of, seconds
from tests.support.service import ServiceWorld

# Fixtures in place of those of conftest.py.
tokens, world, lite = job_heads.tokens, job_heads.world, job_heads.lite


async def refusal_of_watch(watch: Any) -> Any:
    """The refusal that ends a watch."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await all_events(watch)
    return refusal_of(raised.value)


async def watching(world: ServiceWorld, who: str, job_id: str, events: int) -> Any:
    """Wait until a watch has sent this number of events and waits for the next."""
    watch = world.with_token(who).jobs.WatchJob(jobs.WatchJobRequest(job_id=job_id))
    told = 0
    async with asyncio.timeout(SOON):
        while told < events:
            told += len((await watch.read()).events)
    return watch


async def test_a_watch_ends_when_an_escalation_replaces_the_audience(world: ServiceWorld) -> None:
    """`replace` hides the prompt and its job from lara. Otto sees it from then on."""
    leased = await world.lease_new_job()
    # The watch must have sent its events before the step.
    step = prompts.EscalationStep(after=seconds(3), to=audience(groups=["ops"]), replace=True)
    content = confirm("Pay?", audience=audience(groups=["law"]), escalation=[step])
    await world.ask(leased, "pay", content)
    watch = await watching(world, "lara", leased.job.job_id, 3)
    found = await refusal_of_watch(watch)
    assert (found.code.name, found.reason) == ("NOT_FOUND", "JOB_NOT_FOUND")
    otto = await watching(world, "otto", leased.job.job_id, 4)
    otto.cancel()
    get = jobs.GetJobRequest(job_id=leased.job.job_id)
    assert (await world.with_token("otto").jobs.GetJob(get)).open_prompts
    await expect_refusal(world.with_token("lara").jobs.GetJob(get), "NOT_FOUND", "JOB_NOT_FOUND")


async def test_a_watch_shows_a_prompt_once_its_audience_includes_the_watcher(lite: ServiceWorld) -> None:
    leased = await lite.lease_new_job()
    await lite.ask(leased, "law", confirm("For law", audience=audience(groups=["law"])))
    await lite.ask(leased, "ops", confirm("For ops", audience=audience(groups=["ops"])))
    watch = await watching(lite, "lara", leased.job.job_id, 4)
    await lite.amend(leased, "ops", "For both", audience=audience(groups=["law", "ops"]))
    [event] = (await watch.read()).events
    assert names([event]) == ["PROMPT_AMENDED"]
    # The other way round: the first prompt becomes hidden, and the second keeps the watch open.
    await lite.amend(leased, "law", "No more", audience=audience(groups=["ops"]))
    [event] = (await watch.read()).events
    assert (names([event]), event.prompt_id) == (["WITHHELD"], "")
    await lite.amend(leased, "ops", "For ops only", audience=audience(groups=["ops"]))
    found = await refusal_of_watch(watch)
    assert found.reason == "JOB_NOT_FOUND"


async def test_a_watch_ends_with_the_group_that_it_needs(world: ServiceWorld, tokens: Tokens) -> None:
    leased = await world.lease_new_job()
    prompt = await world.ask(leased, "law", confirm(audience=audience(groups=["law"])))
    await world.hitl.AnswerPrompt(answer(prompt))
    await world.catch_up()  # nothing else wakes the watch
    watch = await watching(world, "lara", leased.job.job_id, 4)
    for _ in range(5):  # round trips, in which it comes to wait
        await world.job(leased.job.job_id)
    tokens.write(lara=(["console"], ["other"]))
    found = await refusal_of_watch(watch)
    assert (found.code.name, found.reason) == ("NOT_FOUND", "JOB_NOT_FOUND")


async def test_a_watch_follows_groups_that_change(lite: ServiceWorld, tokens: Tokens) -> None:
    leased = await busy_job(lite)
    watch = await watching(lite, "lara", leased.job.job_id, 6)
    tokens.write(lara=(["console"], ["ops"]))
    await lite.amend(leased, "canary-ops", "ops again", audience=audience(groups=["ops"]))
    await lite.amend(leased, "law", "law again", audience=audience(groups=["law"]))
    events = [*(await watch.read()).events]
    while len(events) < 2:
        events += (await watch.read()).events
    assert names(events) == ["PROMPT_AMENDED", "WITHHELD"]
    watch.cancel()


async def test_a_client_that_becomes_a_console_sees_the_head_from_then_on(
    lite: ServiceWorld, tokens: Tokens
) -> None:
    leased = await busy_job(lite)
    tokens.write(lara=(["client"], ["law"]))
    watch = await watching(lite, "lara", leased.job.job_id, 6)
    tokens.write(lara=(["console"], ["law"]))
    await lite.workers.SaveCheckpoint(
        workers.SaveCheckpointRequest(key="canary", value_json="1", **of(leased))
    )
    [event] = (await watch.read()).events
    assert names([event]) == ["WITHHELD"]
    tokens.write(lara=(["worker"], ["law"]))
    await lite.workers.SaveCheckpoint(
        workers.SaveCheckpointRequest(key="shown", value_json="1", **of(leased))
    )
    [event] = (await watch.read()).events
    assert "shown" in event.data_json
    watch.cancel()
