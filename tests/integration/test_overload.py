"""Unary calls above the limit of a replica are refused early, except those that must get through."""

import asyncio
from typing import Any

import pytest

from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.config.settings import Config
from askback_server.domain.limits import Limits
from tests.support.refusals import expect_refusal
from tests.support.requests import answer
from tests.support.service import serving
from tests.support.waiting import until


@pytest.mark.parametrize(("limit", "above_it"), [("calls", "bob"), ("calls_per_principal", "ada")])
async def test_calls_above_the_limit_are_refused_while_the_others_are_slow(
    lite_url: str, monkeypatch: pytest.MonkeyPatch, limit: str, above_it: str
) -> None:
    """Ada's calls fill the replica or her share. Further calls are refused before these have ended."""
    few = {"calls": Limits(calls=3), "calls_per_principal": Limits(calls_per_principal=3)}[limit]
    monkeypatch.setattr(Config, "limits", property(lambda _: few))
    async with serving(lite_url) as world:
        prompt = await world.create_prompt()
        await world.create("held")
        leased = await world.lease("held")
        replica, go_on, reading = world.service.replica, asyncio.Event(), 0
        list_jobs = replica.jobs.list_jobs

        async def slow(*args: Any) -> Any:
            nonlocal reading
            reading += 1
            await go_on.wait()
            return await list_jobs(*args)

        monkeypatch.setattr(replica.jobs, "list_jobs", slow)
        served = [
            asyncio.ensure_future(_wait_for(world.jobs.ListJobs(jobs.ListJobsRequest()))) for _ in "123"
        ]
        await until(lambda: reading == 3)
        other = world.as_user(above_it)
        above = [other.jobs.ListJobs(jobs.ListJobsRequest()) for _ in range(10)]
        above += [other.jobs.GetJob(jobs.GetJobRequest(job_id=prompt.job_id)) for _ in range(10)]
        for call in above:
            found = await expect_refusal(call, "RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", limit=limit)
            assert found.retry_delay
        assert reading == 3, "a call above the limit was begun"
        extend = workers.ExtendLeaseRequest(
            session_id=leased.session_id, session_secret=leased.session_secret
        )
        async with asyncio.timeout(10):
            await asyncio.gather(
                _wait_for(other.hitl.AnswerPrompt(answer(prompt))),
                _wait_for(world.workers.ExtendLease(extend)),
            )
        assert not any(call.done() for call in served)
        if limit == "calls_per_principal":
            await world.as_user("bob").jobs.GetJob(jobs.GetJobRequest(job_id=prompt.job_id))
        go_on.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*served)
        await other.jobs.ListJobs(jobs.ListJobsRequest())


async def _wait_for(call: Any) -> Any:
    return await call
