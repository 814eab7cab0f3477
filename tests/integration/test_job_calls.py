"""JobService's calls on one job: create, read, update, cancel, retry, delete."""

import json
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from askback.v1 import job_pb2, prompt_pb2
from askback.v1 import job_service_pb2 as pb
from askback.v1 import worker_service_pb2 as wpb
from tests.support.refusals import expect_refusal
from tests.support.requests import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    PENDING_HITL,
    RUNNING,
    answer,
    confirm,
    form,
    seconds,
)
from tests.support.service import ServiceWorld
from tests.support.streams import ABSENT_ID


async def test_a_job_is_created_and_read_as_it_was_sent(world: ServiceWorld) -> None:
    text = '{"z": 1, "a": 9007199254740993, "é": [1.10, "x"]}'
    made = await world.jobs.CreateJob(
        pb.CreateJobRequest(
            job_type="release/v1",
            input_json=text,
            priority=7,
            labels={"team": "a b", "empty": ""},
            max_attempts=5,
            retention=seconds(60),
        )
    )
    assert not made.replayed
    assert not made.HasField("prompt")
    job = made.job
    assert (job.state, job.attempt, job.version, job.token) == (PENDING, 1, 1, 0)
    assert (job.user_id, job.namespace, job.job_type) == ("ada", "default", "release/v1")
    assert job.input_json == text
    assert dict(job.labels) == {"team": "a b", "empty": ""}
    assert (job.priority, job.max_attempts, job.retention.seconds) == (7, 5, 60)
    assert job.create_time == job.update_time == job.ready_time
    for consistency in (pb.CONSISTENCY_UNSPECIFIED, pb.CONSISTENCY_STRONG):
        read = await world.jobs.GetJob(pb.GetJobRequest(job_id=job.job_id, consistency=consistency))
        assert read.job == job
        assert not read.open_prompts


async def test_an_equal_request_id_gives_the_same_job(world: ServiceWorld) -> None:
    request = pb.CreateJobRequest(
        job_type="t", request_id="r-1", labels={"b": "1", "a": "2"}, input_json="[1]"
    )
    first = await world.jobs.CreateJob(request)
    again = await world.jobs.CreateJob(request)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.job == first.job
    other = pb.CreateJobRequest(job_type="t", request_id="r-1", input_json="[2]")
    await expect_refusal(
        world.jobs.CreateJob(other),
        "ALREADY_EXISTS",
        "ID_REUSED",
        field="request_id",
        value="r-1",
        job_id=first.job.job_id,
    )
    elsewhere = await world.jobs.CreateJob(
        pb.CreateJobRequest(namespace="other", job_type="t", request_id="r-1", input_json="[2]")
    )
    assert not elsewhere.replayed


async def test_a_job_with_a_prompt_asks_at_once_and_repeats_with_it(world: ServiceWorld) -> None:
    request = pb.CreateJobRequest(job_type="t", request_id="r", prompt=form())
    made = await world.jobs.CreateJob(request)
    assert made.job.state == PENDING_HITL
    assert made.job.workerless
    assert (made.job.rounds, made.job.open_prompts, made.job.open_blocking_prompts) == (1, 1, 1)
    assert made.prompt.job_id == made.job.job_id
    assert (made.prompt.round, made.prompt.revision, made.prompt.content.blocking) == (1, 1, True)
    assert made.prompt.content.derived_schema_json.startswith("{")
    assert [d.label for d in made.prompt.content.decisions] == ["Answer", "Dismiss"]
    again = await world.jobs.CreateJob(request)
    assert again.replayed
    assert again.prompt == made.prompt
    read = await world.jobs.GetJob(pb.GetJobRequest(job_id=made.job.job_id))
    assert list(read.open_prompts) == [made.prompt]


DEEP = "[" * 65 + "]" * 65
WRONG_JOBS: list[tuple[dict[str, Any], str]] = [
    ({"job_type": ""}, "job_type"),
    ({"job_type": "a b"}, "job_type"),
    ({"job_type": "x" * 129}, "job_type"),
    ({"request_id": "x" * 201}, "request_id"),
    ({"request_id": "a\0b"}, "request_id"),
    ({"input_json": "{"}, "input_json"),
    ({"input_json": '"' + "x" * 262_144 + '"'}, "input_json"),
    ({"input_json": DEEP}, "input_json"),
    ({"input_json": '"\\u0000"'}, "input_json"),
    ({"priority": 1001}, "priority"),
    ({"priority": -1001}, "priority"),
    ({"max_attempts": 101}, "max_attempts"),
    ({"max_attempts": -1}, "max_attempts"),
    ({"labels": {f"k{i}": "" for i in range(33)}}, "labels"),
    ({"labels": {"": "x"}}, "labels['']"),
    ({"labels": {"k": "x" * 129}}, "labels['k']"),
    ({"labels": {"k": "a\0"}}, "labels['k']"),
    ({"retention": seconds(-1)}, "retention"),
    ({"retention": seconds(3661 * 86400)}, "retention"),
    ({"user_id": "bob"}, "user_id"),
    ({"namespace": "a b"}, "namespace"),
    ({"namespace": "*"}, "namespace"),
    ({"prompt": confirm("")}, "prompt.title"),
    ({"prompt": confirm(timeout=seconds(0.01))}, "prompt.timeout"),
    ({"prompt": confirm(timeout=seconds(367 * 86400))}, "prompt.timeout"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("fields", "field"), WRONG_JOBS, ids=[f"{f}-{i}" for i, (_, f) in enumerate(WRONG_JOBS)]
)
async def test_a_wrong_field_is_named_and_no_job_is_created(
    shared_lite: ServiceWorld, fields: dict[str, Any], field: str
) -> None:
    request = pb.CreateJobRequest(**{"job_type": "t", **fields})
    found = await expect_refusal(shared_lite.jobs.CreateJob(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert field in found.violations
    assert not (await shared_lite.jobs.ListJobs(pb.ListJobsRequest())).jobs


async def test_all_wrong_fields_are_reported_at_once(lite: ServiceWorld) -> None:
    request = pb.CreateJobRequest(priority=5000, input_json="x", prompt=confirm("", body="\0"))
    found = await expect_refusal(lite.jobs.CreateJob(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {"job_type", "priority", "input_json", "prompt.title", "prompt.body"}


async def test_a_message_that_is_too_large_is_refused(lite: ServiceWorld) -> None:
    # gRPC itself refuses it before our code runs, so there is no ErrorInfo.
    request = pb.CreateJobRequest(job_type="t", input_json='"' + "x" * (4 * 1024 * 1024) + '"')
    found = await expect_refusal(lite.jobs.CreateJob(request), "RESOURCE_EXHAUSTED", "")
    assert "larger than max" in found.message


JOB_CALLS = {
    "GetJob": pb.GetJobRequest,
    "CancelJob": pb.CancelJobRequest,
    "RetryJob": pb.RetryJobRequest,
    "DeleteJob": pb.DeleteJobRequest,
    "GetDeepUnderstanding": pb.GetDeepUnderstandingRequest,
    "WatchJob": pb.WatchJobRequest,
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", [*JOB_CALLS, "UpdateJob", "UpdateDeepUnderstanding"])
@pytest.mark.parametrize("job_id", [ABSENT_ID, "not-an-id", ""])
async def test_an_unknown_job_is_not_found(shared_lite: ServiceWorld, name: str, job_id: str) -> None:
    mask = FieldMask(paths=["complete" if "Deep" in name else "priority"])
    request: Any
    if name == "UpdateJob":
        request = pb.UpdateJobRequest(job=job_pb2.Job(job_id=job_id), update_mask=mask)
    elif name == "UpdateDeepUnderstanding":
        state = job_pb2.DeepUnderstanding(job_id=job_id)
        request = pb.UpdateDeepUnderstandingRequest(deep_understanding=state, update_mask=mask)
    else:
        request = JOB_CALLS[name](job_id=job_id)
    call = getattr(shared_lite.jobs, name)(request)
    call = call.read() if name == "WatchJob" else call
    if job_id:
        await expect_refusal(call, "NOT_FOUND", "JOB_NOT_FOUND", job_id=job_id)
    else:
        await expect_refusal(call, "INVALID_ARGUMENT", "INVALID_FIELD")


def update(job_id: str, *paths: str, version: int = 0, **values: Any) -> pb.UpdateJobRequest:
    return pb.UpdateJobRequest(
        job=job_pb2.Job(job_id=job_id, **values), update_mask=FieldMask(paths=paths), expected_version=version
    )


async def test_update_changes_what_the_mask_names_and_nothing_else(world: ServiceWorld) -> None:
    job = await world.create(labels={"a": "1"}, priority=3)
    changed = (
        await world.jobs.UpdateJob(
            update(
                job.job_id,
                "labels",
                "promoted",
                "retention",
                version=1,
                labels={"b": "2"},
                promoted=True,
                retention=seconds(90),
                priority=9,
            )
        )
    ).job
    assert dict(changed.labels) == {"b": "2"}
    assert (changed.promoted, changed.retention.seconds, changed.priority) == (True, 90, 3)
    assert changed.version == 2
    assert await world.job(job.job_id) == changed
    cleared = (await world.jobs.UpdateJob(update(job.job_id, "retention", "promoted"))).job
    assert not cleared.HasField("retention")
    assert not cleared.promoted
    await expect_refusal(
        world.jobs.UpdateJob(update(job.job_id, "priority", version=1)),
        "ABORTED",
        "VERSION_MISMATCH",
        version="3",
    )


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (update("", priority=3), "update_mask"),
        (update("", "state"), "update_mask"),
        (update("", "priority", priority=5000), "job.priority"),
        (update("", "labels", labels={f"k{i}": "" for i in range(33)}), "job.labels"),
        (update("", "retention", retention=seconds(-2)), "job.retention"),
        (update("", "retention", retention=seconds(1e9)), "job.retention"),
    ],
)
async def test_an_invalid_update_names_its_field(
    lite: ServiceWorld, request_: pb.UpdateJobRequest, field: str
) -> None:
    job = await lite.create()
    request_.job.job_id = job.job_id
    found = await expect_refusal(lite.jobs.UpdateJob(request_), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert field in found.violations
    assert await lite.job(job.job_id) == job


async def test_the_retention_of_an_ended_job_can_still_be_changed(lite: ServiceWorld) -> None:
    job = await lite.create()
    ended = (await lite.jobs.CancelJob(pb.CancelJobRequest(job_id=job.job_id))).job
    request = update(job.job_id, "retention", retention=seconds(60))
    kept = (await lite.jobs.UpdateJob(request)).job
    assert kept.purge_time.seconds == ended.complete_time.seconds + 60


async def test_cancel_ends_a_job_without_a_holder_and_may_be_repeated(world: ServiceWorld) -> None:
    job = await world.create()
    request = pb.CancelJobRequest(job_id=job.job_id, reason="not needed")
    ended = (await world.jobs.CancelJob(request)).job
    assert ended.state == CANCELLED
    assert ended.HasField("complete_time")
    assert (await world.jobs.CancelJob(request)).job == ended
    prompt = await world.create_prompt()
    assert (await world.jobs.CancelJob(pb.CancelJobRequest(job_id=prompt.job_id))).job.state == CANCELLED
    assert (await world.prompt(prompt.prompt_id)).resolution.reason == "the job was cancelled"


async def test_cancelling_a_held_job_only_requests_it(lite: ServiceWorld) -> None:
    leased = await lite.lease_new_job()
    request = pb.CancelJobRequest(job_id=leased.job.job_id)
    wished = (await lite.jobs.CancelJob(request)).job
    assert wished.state == RUNNING
    assert wished.HasField("cancel_request_time")
    assert (await lite.jobs.CancelJob(request)).job == wished
    confirmed = await lite.workers.ReleaseJob(
        wpb.ReleaseJobRequest(job_id=leased.job.job_id, token=leased.token)
    )
    assert confirmed.job.state == CANCELLED


async def complete_new_job(world: ServiceWorld) -> job_pb2.Job:
    leased = await world.lease_new_job(
        labels={"l": "1"}, input_json='{"b":1,"a":2}', priority=4, max_attempts=2
    )
    done = await world.workers.CompleteJob(
        wpb.CompleteJobRequest(job_id=leased.job.job_id, token=leased.token, result_json="[1, 2]")
    )
    job: job_pb2.Job = done.job
    return job


async def test_an_ended_job_cannot_be_cancelled(lite: ServiceWorld) -> None:
    job = await complete_new_job(lite)
    await expect_refusal(
        lite.jobs.CancelJob(pb.CancelJobRequest(job_id=job.job_id)),
        "FAILED_PRECONDITION",
        "ILLEGAL_STATE",
        job_id=job.job_id,
        state="COMPLETED",
    )
    long = pb.CancelJobRequest(job_id=job.job_id, reason="x" * 1001)
    await expect_refusal(lite.jobs.CancelJob(long), "INVALID_ARGUMENT", "INVALID_FIELD")


async def test_retry_creates_a_new_job_with_the_old_content(world: ServiceWorld) -> None:
    old = await complete_new_job(world)
    assert old.state == COMPLETED
    request = pb.RetryJobRequest(job_id=old.job_id, request_id="again")
    made = await world.jobs.RetryJob(request)
    new = made.job
    assert (new.state, new.retried_from_job_id, new.attempt) == (PENDING, old.job_id, 1)
    assert (new.input_json, dict(new.labels), new.priority) == (old.input_json, {"l": "1"}, 4)
    assert (new.max_attempts, new.job_type, new.result_json) == (2, "t", "")
    again = await world.jobs.RetryJob(request)
    assert again.replayed
    assert again.job.job_id == new.job_id
    await world.create(request_id="taken")
    taken = pb.RetryJobRequest(job_id=old.job_id, request_id="taken")
    await expect_refusal(world.jobs.RetryJob(taken), "ALREADY_EXISTS", "ID_REUSED", value="taken")


async def test_only_an_ended_job_with_a_worker_can_be_retried(lite: ServiceWorld) -> None:
    pending = await lite.create()
    await expect_refusal(
        lite.jobs.RetryJob(pb.RetryJobRequest(job_id=pending.job_id)),
        "FAILED_PRECONDITION",
        "ILLEGAL_STATE",
        job_id=pending.job_id,
        state="PENDING",
        event="RETRY",
    )
    prompt = await lite.create_prompt()
    await lite.hitl.AnswerPrompt(answer(prompt))
    assert (await lite.job(prompt.job_id)).state == COMPLETED
    await expect_refusal(
        lite.jobs.RetryJob(pb.RetryJobRequest(job_id=prompt.job_id)), "FAILED_PRECONDITION", "ILLEGAL_STATE"
    )


async def test_delete_removes_an_ended_job_with_its_prompts(world: ServiceWorld) -> None:
    prompt = await world.create_prompt()
    request = pb.DeleteJobRequest(job_id=prompt.job_id)
    await expect_refusal(
        world.jobs.DeleteJob(request),
        "FAILED_PRECONDITION",
        "ILLEGAL_STATE",
        state="PENDING_HITL",
        event="DELETE",
    )
    await world.hitl.AnswerPrompt(answer(prompt))
    await world.jobs.DeleteJob(request)
    await expect_refusal(
        world.jobs.GetJob(pb.GetJobRequest(job_id=prompt.job_id)), "NOT_FOUND", "JOB_NOT_FOUND"
    )
    await expect_refusal(
        world.prompt(prompt.prompt_id), "NOT_FOUND", "PROMPT_NOT_FOUND", prompt_id=prompt.prompt_id
    )
    await expect_refusal(world.jobs.DeleteJob(request), "NOT_FOUND", "JOB_NOT_FOUND")
    await expect_refusal(world.hitl.AnswerPrompt(answer(prompt)), "NOT_FOUND", "PROMPT_NOT_FOUND")


async def test_a_failure_is_stored_and_returned_as_data(lite: ServiceWorld) -> None:
    leased = await lite.lease_new_job()
    failed = await lite.workers.FailJob(
        wpb.FailJobRequest(
            job_id=leased.job.job_id,
            token=leased.token,
            failure=job_pb2.Failure(code="ValueError", message="no", details_json='{"b":1,"a":2}'),
        )
    )
    assert failed.job.state == FAILED
    read = (await lite.jobs.GetJob(pb.GetJobRequest(job_id=leased.job.job_id))).job
    assert (read.failure.code, read.failure.message) == ("ValueError", "no")
    assert read.failure.details_json == '{"b":1,"a":2}'


async def test_the_open_prompts_of_a_job_fit_into_a_mebibyte_with_their_schemas(lite: ServiceWorld) -> None:
    leased = await lite.lease_new_job()
    for n in range(20):
        text = {"type": "string", "description": "x" * 60_000}
        schema = json.dumps({"type": "object", "properties": {"a": text}})
        await lite.ask(leased, f"k{n}", prompt_pb2.PromptContent(kind="q", title="T", schema_json=schema))
    found = await lite.jobs.GetJob(pb.GetJobRequest(job_id=leased.job.job_id))
    assert found.ByteSize() < 1024 * 1024
    fitting = [p.key for p in found.open_prompts]
    assert 10 < len(fitting) < 20
    assert fitting == [f"k{n}" for n in range(len(fitting))]  # by round
