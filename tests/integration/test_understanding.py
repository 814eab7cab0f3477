"""The deep-understanding state: read, changed by mask, and updated by its prompts."""

import json
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as pb
from tests.support.refusals import expect_refusal
from tests.support.requests import ACCEPT, RESPOND, answer, confirm, form
from tests.support.service import ServiceWorld


def change(job_id: str, *paths: str, version: int = 0, token: int = 0, **values: Any) -> Any:
    return pb.UpdateDeepUnderstandingRequest(
        deep_understanding=job_pb2.DeepUnderstanding(job_id=job_id, **values),
        update_mask=FieldMask(paths=paths or tuple(values)),
        expected_version=version,
        token=token,
    )


async def state_of(world: ServiceWorld, job_id: str) -> Any:
    read = await world.jobs.GetDeepUnderstanding(pb.GetDeepUnderstandingRequest(job_id=job_id))
    return read.deep_understanding


async def test_the_understanding_starts_empty_and_changes_by_mask(world: ServiceWorld) -> None:
    job = await world.create()
    empty = await state_of(world, job.job_id)
    assert (empty.version, empty.questions_asked_json, empty.complete) == (0, "[]", False)
    research = '[{"z": 9007199254740993, "a": 1}]'
    first = (
        await world.jobs.UpdateDeepUnderstanding(
            change(job.job_id, research_performed_json=research, readiness_score=0.5, user_problem="it hurts")
        )
    ).deep_understanding
    assert (first.version, first.research_performed_json) == (1, research)
    second = (
        await world.jobs.UpdateDeepUnderstanding(
            change(job.job_id, "complete", version=1, complete=True, user_problem="ignored")
        )
    ).deep_understanding
    assert (second.version, second.complete, second.user_problem) == (2, True, "it hurts")
    assert await state_of(world, job.job_id) == second
    stale = change(job.job_id, "complete", version=1)
    await expect_refusal(
        world.jobs.UpdateDeepUnderstanding(stale), "ABORTED", "VERSION_MISMATCH", version="2"
    )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"questions_asked_json": "{}"}, "deep_understanding.questions_asked_json"),
        ({"answers_json": ""}, "deep_understanding.answers_json"),
        ({"research_performed_json": "[,]"}, "deep_understanding.research_performed_json"),
        ({"readiness_score": 1.5}, "deep_understanding.readiness_score"),
        ({"readiness_score": float("nan")}, "deep_understanding.readiness_score"),
        ({"user_problem": "\0"}, "deep_understanding.user_problem"),
        ({"version": 3}, "update_mask"),
    ],
)
async def test_a_wrong_field_is_named(shared_lite: ServiceWorld, values: dict[str, Any], field: str) -> None:
    job = await shared_lite.create()
    found = await expect_refusal(
        shared_lite.jobs.UpdateDeepUnderstanding(change(job.job_id, **values)),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    )
    assert field in found.violations
    found = await expect_refusal(
        shared_lite.jobs.UpdateDeepUnderstanding(
            pb.UpdateDeepUnderstandingRequest(deep_understanding=job_pb2.DeepUnderstanding(job_id=job.job_id))
        ),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    )
    assert set(found.violations) == {"update_mask"}


async def test_a_token_that_is_not_the_newest_and_an_ended_job_change_nothing(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    job_id = lease.job.job_id
    written = await lite.jobs.UpdateDeepUnderstanding(change(job_id, token=lease.token, complete=True))
    assert written.deep_understanding.complete
    old = change(job_id, "complete", token=lease.token + 1)
    await expect_refusal(
        lite.jobs.UpdateDeepUnderstanding(old), "FAILED_PRECONDITION", "LEASE_LOST", job_id=job_id, token="2"
    )
    ended = await lite.create()
    await lite.jobs.CancelJob(pb.CancelJobRequest(job_id=ended.job_id))
    await expect_refusal(
        lite.jobs.UpdateDeepUnderstanding(change(ended.job_id, complete=True)),
        "FAILED_PRECONDITION",
        "ILLEGAL_STATE",
        job_id=ended.job_id,
        state="CANCELLED",
    )


async def test_prompts_of_its_kind_update_the_understanding(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    job_id = lease.job.job_id
    content = form("What do you need?", priority=1)
    content.kind = "deep_understanding"
    prompt = await world.ask(lease, "q1", content)
    await world.ask(lease, "other", confirm())
    asked = json.loads((await state_of(world, job_id)).questions_asked_json)
    assert asked == [{"prompt_id": prompt.prompt_id, "round": 1, "title": "What do you need?"}]
    values = '{"n": 9007199254740993}'
    await world.hitl.AnswerPrompt(answer(prompt, "a", RESPOND, values_json=values))
    state = await state_of(world, job_id)
    assert state.version == 2
    assert values in state.answers_json
    [said] = json.loads(state.answers_json)
    assert (said["prompt_id"], said["decision"]) == (prompt.prompt_id, "RESPOND")
    assert ACCEPT in [d.decision for d in prompt.content.decisions]
