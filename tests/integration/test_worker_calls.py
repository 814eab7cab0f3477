"""WorkerService without a stream: any client with generated stubs can be a worker."""

import asyncio
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as hpb
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as pb
from tests.support.refusals import SOON, expect_refusal
from tests.support.requests import (
    CANCELLED,
    COMPLETED,
    PENDING,
    PENDING_HITL,
    RESPOND,
    RUNNING,
    answer,
    confirm,
    form,
    seconds,
)
from tests.support.service import ServiceWorld
from tests.support.streams import ABSENT_ID
from tests.support.waiting import until


def of(leased: Any, **fields: Any) -> dict[str, Any]:
    return {"job_id": leased.job.job_id, "token": leased.token, **fields}


async def test_a_job_can_be_run_by_unary_calls(world: ServiceWorld) -> None:
    job = await world.create(input_json='{"order": 9007199254740993}')
    leased = await world.lease(worker_id="curl", max_jobs=5)
    [lease] = leased.jobs
    assert (lease.job.job_id, lease.token, lease.job.worker_id) == (job.job_id, 1, "curl")
    session = {"session_id": leased.session_id, "session_secret": leased.session_secret}
    extended = await world.workers.ExtendLease(pb.ExtendLeaseRequest(**session))
    assert extended.expire_time.ToDatetime() > leased.expire_time.ToDatetime()
    progress = job_pb2.Progress(done=1, total=4)
    reported = await world.workers.ReportProgress(pb.ReportProgressRequest(**of(lease, progress=progress)))
    assert (await world.job(job.job_id)).version == reported.version
    assert (await world.job(job.job_id)).progress.percent == 25
    saved = pb.SaveCheckpointRequest(**of(lease, key="step", value_json="[1]"))
    assert (await world.workers.SaveCheckpoint(saved)).version == reported.version + 1
    prompt = await world.ask(lease, "which", form())

    waiting = asyncio.ensure_future(
        world.workers.AwaitPrompt(pb.AwaitPromptRequest(prompt_id=prompt.prompt_id, wait=seconds(SOON)))
    )
    await until(lambda: world.service.replica.bus.is_followed)  # it waits
    assert not waiting.done()
    await world.hitl.AnswerPrompt(answer(prompt, "a", RESPOND, values_json='{"n": 9007199254740993}'))
    async with asyncio.timeout(SOON):
        resolved = (await waiting).prompt
    assert resolved.resolution.answer.values_json == '{"n": 9007199254740993}'
    confirmed = pb.AcknowledgePromptsRequest(**of(lease, prompt_ids=[prompt.prompt_id]))
    await world.workers.AcknowledgePrompts(confirmed)
    listed = await world.workers.ListCheckpoints(pb.ListCheckpointsRequest(job_id=job.job_id))
    assert [(c.key, c.value_json) for c in listed.checkpoints] == [("step", "[1]")]
    complete = pb.CompleteJobRequest(**of(lease, result_json='{"done": true}'))
    done = (await world.workers.CompleteJob(complete)).job
    assert (done.state, done.result_json) == (COMPLETED, '{"done": true}')
    assert (await world.workers.CompleteJob(complete)).job == done
    # The session stays for the next jobs.
    await world.create()
    again = await world.lease(**session)
    assert (again.session_id, again.session_secret) == (leased.session_id, leased.session_secret)
    assert len(again.jobs) == 1


def writes(world: ServiceWorld, job_id: str, token: int) -> dict[str, Any]:
    of = {"job_id": job_id, "token": token}
    stub = world.workers
    return {
        "ReportProgress": lambda: stub.ReportProgress(pb.ReportProgressRequest(**of)),
        "AskPrompt": lambda: stub.AskPrompt(pb.AskPromptRequest(**of, key="k", content=confirm())),
        "AcknowledgePrompts": lambda: stub.AcknowledgePrompts(pb.AcknowledgePromptsRequest(**of)),
        "SaveCheckpoint": lambda: stub.SaveCheckpoint(
            pb.SaveCheckpointRequest(**of, key="k", value_json="1")
        ),
        "CompleteJob": lambda: stub.CompleteJob(pb.CompleteJobRequest(**of)),
        "FailJob": lambda: stub.FailJob(pb.FailJobRequest(**of)),
        "ReleaseJob": lambda: stub.ReleaseJob(pb.ReleaseJobRequest(**of)),
    }


WRITES = [
    "ReportProgress",
    "AskPrompt",
    "AcknowledgePrompts",
    "SaveCheckpoint",
    "CompleteJob",
    "FailJob",
    "ReleaseJob",
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", WRITES)
async def test_a_write_requires_the_newest_token_and_the_holder(shared_lite: ServiceWorld, name: str) -> None:
    lease = await shared_lite.lease_new_job(name)
    job_id = lease.job.job_id
    for token in (0, lease.token - 1, lease.token + 1):
        await expect_refusal(
            writes(shared_lite, job_id, token)[name](),
            "FAILED_PRECONDITION",
            "LEASE_LOST",
            job_id=job_id,
            token=str(token),
        )
    bob = ServiceWorld(shared_lite.service, shared_lite.channel)
    bob.workers = shared_lite.as_user("bob").workers
    await expect_refusal(writes(bob, job_id, lease.token)[name](), "FAILED_PRECONDITION", "LEASE_LOST")
    await expect_refusal(
        writes(shared_lite, ABSENT_ID, 1)[name](), "NOT_FOUND", "JOB_NOT_FOUND", job_id=ABSENT_ID
    )
    await expect_refusal(writes(shared_lite, "x", 1)[name](), "NOT_FOUND", "JOB_NOT_FOUND", job_id="x")
    await expect_refusal(writes(shared_lite, "", 1)[name](), "INVALID_ARGUMENT", "INVALID_FIELD")
    await writes(shared_lite, job_id, lease.token)[name]()
    ended = await shared_lite.create(name)
    await expect_refusal(writes(shared_lite, ended.job_id, 0)[name](), "FAILED_PRECONDITION", "LEASE_LOST")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", WRITES)
async def test_the_holders_writes_are_legal_while_people_are_asked(
    shared_lite: ServiceWorld, name: str
) -> None:
    lease = await shared_lite.lease_new_job(f"{name}.asked")
    await shared_lite.ask(lease, "first")
    assert (await shared_lite.job(lease.job.job_id)).state == PENDING_HITL
    await writes(shared_lite, lease.job.job_id, lease.token)[name]()


async def test_asking_is_idempotent_by_key(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    request = pb.AskPromptRequest(**of(lease, key="k", content=confirm("one")))
    first, again = await world.workers.AskPrompt(request), await world.workers.AskPrompt(request)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.prompt == first.prompt
    request.content.title = "two"
    amended = await world.workers.AskPrompt(request)
    assert (amended.replayed, amended.prompt.revision) == (False, 2)
    await world.hitl.AnswerPrompt(answer(amended.prompt))
    assert (await world.workers.AskPrompt(request)).prompt.state == prompts.PROMPT_STATE_ANSWERED
    request.content.title = "three"
    await expect_refusal(
        world.workers.AskPrompt(request),
        "ALREADY_EXISTS",
        "ID_REUSED",
        field="key",
        value="k",
        prompt_id=first.prompt.prompt_id,
    )


async def test_await_prompt_returns_the_current_state_when_the_wait_ends(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    prompt = await lite.ask(lease, "k")
    by_key = {"job_id": lease.job.job_id, "key": "k"}
    for wait in ({}, {"wait": seconds(0.05)}):
        request = pb.AwaitPromptRequest(**by_key, **wait)
        assert (await lite.workers.AwaitPrompt(request)).prompt == prompt
    assert not lite.service.replica.bus.is_followed
    for where in ({"prompt_id": ABSENT_ID}, {"job_id": ABSENT_ID, "key": "k"}):
        await expect_refusal(
            lite.workers.AwaitPrompt(pb.AwaitPromptRequest(**where)), "NOT_FOUND", "PROMPT_NOT_FOUND", **where
        )
    for bad in ({}, {"prompt_id": prompt.prompt_id, "wait": seconds(-1)}):
        await expect_refusal(
            lite.workers.AwaitPrompt(pb.AwaitPromptRequest(**bad)), "INVALID_ARGUMENT", "INVALID_FIELD"
        )
    await lite.hitl.CancelPrompt(hpb.CancelPromptRequest(prompt_id=prompt.prompt_id))
    ended = (await lite.workers.AwaitPrompt(pb.AwaitPromptRequest(**by_key, wait=seconds(SOON)))).prompt
    assert ended.state == prompts.PROMPT_STATE_CANCELLED


async def test_checkpoints_have_pages_by_key(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    for key in ("b", "a", "d", "ç", "c", "a"):
        saved = pb.SaveCheckpointRequest(**of(lease, key=key, value_json=f'"{key}"'))
        await world.workers.SaveCheckpoint(saved)
    keys, token = [], ""
    while True:
        request = pb.ListCheckpointsRequest(job_id=lease.job.job_id, page_size=2, page_token=token)
        page = await world.workers.ListCheckpoints(request)
        assert len(page.checkpoints) <= 2
        keys += [c.key for c in page.checkpoints]
        token = page.next_page_token
        if not token:
            break
        other = pb.ListCheckpointsRequest(job_id=(await world.create("o")).job_id, page_token=token)
        await expect_refusal(world.workers.ListCheckpoints(other), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN")
    assert keys == ["a", "b", "c", "d", "ç"]
    negative = pb.ListCheckpointsRequest(job_id=lease.job.job_id, page_size=-1)
    await expect_refusal(world.workers.ListCheckpoints(negative), "INVALID_ARGUMENT", "INVALID_FIELD")
    await expect_refusal(
        world.workers.ListCheckpoints(pb.ListCheckpointsRequest(job_id=ABSENT_ID)),
        "NOT_FOUND",
        "JOB_NOT_FOUND",
    )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("fields", [{"result_json": "{"}, {"result_json": '"' + "x" * 262_144 + '"'}])
async def test_an_invalid_result_is_refused_and_the_job_keeps_running(
    shared_lite: ServiceWorld, fields: dict[str, str]
) -> None:
    lease = await shared_lite.lease_new_job()
    found = await expect_refusal(
        shared_lite.workers.CompleteJob(pb.CompleteJobRequest(**of(lease, **fields))),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    )
    assert set(found.violations) == {"result_json"}
    assert (await shared_lite.job(lease.job.job_id)).state == RUNNING


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"failure": job_pb2.Failure(code="a b")}, "failure.code"),
        ({"failure": job_pb2.Failure(code="E", message="\0")}, "failure.message"),
        ({"failure": job_pb2.Failure(code="E", details_json="{")}, "failure.details_json"),
        ({"retry_delay": seconds(367 * 86_400)}, "retry_delay"),
    ],
)
async def test_an_invalid_failure_is_refused(
    shared_lite: ServiceWorld, fields: dict[str, Any], field: str
) -> None:
    lease = await shared_lite.lease_new_job()
    found = await expect_refusal(
        shared_lite.workers.FailJob(pb.FailJobRequest(**of(lease, **fields))),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    )
    assert set(found.violations) == {field}


async def test_release_returns_a_job_without_using_an_attempt(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    released = (await lite.workers.ReleaseJob(pb.ReleaseJobRequest(**of(lease)))).job
    assert (released.state, released.attempt) == (PENDING, 1)
    [again] = (await lite.lease()).jobs
    assert again.token == 2


async def test_a_failure_confirms_a_cancel_request(lite: ServiceWorld) -> None:

    lease = await lite.lease_new_job()
    await lite.jobs.CancelJob(jpb.CancelJobRequest(job_id=lease.job.job_id))
    request = pb.FailJobRequest(**of(lease, failure=job_pb2.Failure(code="Stopped"), retryable=True))
    assert (await lite.workers.FailJob(request)).job.state == CANCELLED


async def test_a_poisoned_call_does_not_harm_others(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    prompt = await world.create_prompt()
    bad = [
        world.workers.AskPrompt(pb.AskPromptRequest(**of(lease, key="\0", content=confirm()))),
        world.hitl.AnswerPrompt(answer(prompt, "\0")),
        world.workers.SaveCheckpoint(pb.SaveCheckpointRequest(**of(lease, key="\0", value_json="1"))),
    ]
    good = [
        world.workers.SaveCheckpoint(pb.SaveCheckpointRequest(**of(lease, key=f"{i}", value_json="1")))
        for i in range(5)
    ]

    async def settle(call: Any) -> Any:
        return await call

    async with asyncio.timeout(SOON):
        results = await asyncio.gather(*map(settle, [*bad, *good]), return_exceptions=True)
    assert [isinstance(r, Exception) for r in results] == [True] * 3 + [False] * 5
    for call in (
        world.workers.AskPrompt(pb.AskPromptRequest(**of(lease, key="\0", content=confirm()))),
        world.hitl.AnswerPrompt(answer(prompt, "\0")),
    ):
        await expect_refusal(call, "INVALID_ARGUMENT", "INVALID_FIELD")
