"""Deadlines of prompts by the real clock, and jobs without a worker."""

import json
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as hpb
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import prompt_pb2 as prompts
from tests.support.refusals import expect_refusal
from tests.support.requests import (
    CANCELLED,
    COMPLETED,
    FAILED,
    REJECT,
    RUNNING,
    answer,
    confirm,
    form,
    seconds,
)
from tests.support.service import ServiceWorld, serving

DEFAULT = prompts.DefaultAnswer(decision=prompts.DECISION_REJECT, comment="nobody said yes")
FINAL: dict[str, dict[str, Any]] = {
    "expire": {"final_action": prompts.FINAL_ACTION_EXPIRE},
    "default": {"final_action": prompts.FINAL_ACTION_DEFAULT, "default_answer": DEFAULT},
    "fail": {"final_action": prompts.FINAL_ACTION_FAIL_JOB},
}


def short(final: str, timeout: float = 0.2) -> prompts.PromptContent:
    return confirm(timeout=seconds(timeout), **FINAL[final])


@pytest.mark.parametrize("final", FINAL)
async def test_a_deadline_runs_its_final_action_once_and_not_early(world: ServiceWorld, final: str) -> None:
    worker = world.worker()
    await worker.hello()
    console = world.console()
    await console.hello()
    await console.snapshot()
    await world.create()
    leased = await worker.next_job()
    prompt = await world.ask(leased, "k", short(final))
    await console.event("upserted")
    closed = await console.event("closed")
    ended = await world.prompt(prompt.prompt_id)
    assert closed.resolution == ended.resolution
    assert ended.resolution.time.ToDatetime() >= prompt.expire_time.ToDatetime()
    assert ended.resolution.actor == "system"
    told = await worker.frame()
    if final == "fail":
        assert told.lease_lost.job_id == leased.job.job_id
        job = await world.job(leased.job.job_id)
        assert (job.state, job.failure.code) == (FAILED, "PROMPT_EXPIRED")
        assert ended.state == prompts.PROMPT_STATE_EXPIRED
    else:
        assert told.prompt_resolved.prompt.resolution == ended.resolution
        assert (await world.job(leased.job.job_id)).state == RUNNING
    if final == "default":
        given = ended.resolution.answer
        assert (given.source, given.decision) == (
            prompts.ANSWER_SOURCE_TIMEOUT_DEFAULT,
            prompts.DECISION_REJECT,
        )
        assert (given.comment, given.user_id) == ("nobody said yes", "")
    if final == "expire":
        assert ended.state == prompts.PROMPT_STATE_EXPIRED
        assert not ended.resolution.HasField("answer")
    # A late answer is recorded and resolves nothing.
    await expect_refusal(world.hitl.AnswerPrompt(answer(prompt)), "FAILED_PRECONDITION", "PROMPT_CLOSED")
    assert (await world.prompt(prompt.prompt_id)).resolution == ended.resolution
    events = [
        e
        for e in (await world.jobs.WatchJob(jpb.WatchJobRequest(job_id=leased.job.job_id)).read()).events
        if e.prompt_id == prompt.prompt_id
    ]
    assert len(events) == 3  # asked, closed, late


@pytest.mark.parametrize("final", FINAL)
async def test_a_job_without_a_worker_ends_with_its_prompts_deadline(lite: ServiceWorld, final: str) -> None:
    prompt = await lite.create_prompt(short(final))
    job = await lite.state(prompt.job_id, FAILED if final == "fail" else COMPLETED)
    if final == "fail":
        assert job.failure.code == "PROMPT_EXPIRED"
    else:
        result = json.loads(job.result_json)
        assert result["state"] == ("ANSWERED" if final == "default" else "EXPIRED")


async def test_the_resolution_of_a_job_without_a_worker_is_its_result(world: ServiceWorld) -> None:
    prompt = await world.create_prompt(form())
    values = '{"why": "x", "n": 9007199254740993}'
    said = answer(prompt, "a", prompts.DECISION_RESPOND, values_json=values, comment="ok")
    await world.hitl.AnswerPrompt(said)
    job = await world.job(prompt.job_id)
    assert job.state == COMPLETED
    assert values in job.result_json
    assert json.loads(job.result_json)["decision"] == "RESPOND"
    rejected = await world.create_prompt()
    await world.hitl.AnswerPrompt(answer(rejected, "a", REJECT))
    assert (await world.job(rejected.job_id)).state == COMPLETED
    withdrawn = await world.create_prompt()
    await world.hitl.CancelPrompt(hpb.CancelPromptRequest(prompt_id=withdrawn.prompt_id))
    assert (await world.job(withdrawn.job_id)).state == CANCELLED
    # It cannot be leased.
    assert not (await world.lease(wait=0)).jobs


async def test_a_deadline_that_passed_during_an_outage_is_run_after_the_start(
    migrated_db_url: str,
) -> None:
    async with serving(migrated_db_url) as world:
        prompt = await world.create_prompt(short("expire", 0.3))
    async with serving(migrated_db_url) as world:
        await world.state(prompt.job_id, COMPLETED)
        assert (await world.prompt(prompt.prompt_id)).state == prompts.PROMPT_STATE_EXPIRED


async def test_an_amendment_restarts_the_deadline(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    first = await lite.ask(lease, "k", confirm("one", timeout=seconds(1.5)))
    second = await lite.amend(lease, "k", "two", timeout=seconds(60))
    assert second.expire_time.ToDatetime() > first.expire_time.ToDatetime()
    other = await lite.create_prompt(short("expire", 1.6))  # a later timer than the first one's
    await lite.state(other.job_id, COMPLETED)
    assert (await lite.prompt(first.prompt_id)).state == prompts.PROMPT_STATE_PENDING
