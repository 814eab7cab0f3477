"""Unary calls and watches of the client, and the exceptions that statuses become."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]

from askback import errors
from askback._client.client import Client
from askback._model.enums import DecisionKind, JobState
from askback._model.jobs import Event
from askback._model.prompts import PromptInfo
from askback._wire.channel import DEFAULT_TARGET, Endpoint
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2, prompt_pb2
from askback.v1 import job_service_pb2 as jobs
from tests.support.fake_server import FakeServer, span
from tests.support.statuses import with_reason


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[Client]:
    async with Client(server.target, user="ana", namespace="acme", deadline=3) as client:
        yield client


def state(name: str) -> Any:
    return job_pb2.JobState.Value(f"JOB_STATE_{name}")


async def test_start_repeats_under_one_generated_request_id(server: FakeServer, client: Client) -> None:
    seen: list[jobs.CreateJobRequest] = []

    async def create(request: jobs.CreateJobRequest, context: Any) -> Any:
        seen.append(request)
        if len(seen) < 3:
            reason = ("ERROR_REASON_STORAGE_UNAVAILABLE", "ERROR_REASON_CONTENTION")[len(seen) - 1]
            code = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)[len(seen) - 1]
            await context.abort(*with_reason(code, reason, context))
        return jobs.CreateJobResponse(job=job_pb2.Job(job_id="j1"))

    server.unary["CreateJob"] = create
    run = await client.start("refund", {"b": 1, "a": 2}, labels={"x": "y"}, retention=60)
    assert run.job_id == "j1"
    assert len({request.request_id for request in seen}) == 1
    assert seen[0].request_id
    assert seen[0].input_json == '{"b":1,"a":2}'
    assert seen[0].namespace == "acme"
    assert seen[0].retention.ToTimedelta() == timedelta(seconds=60)


async def test_client_ask_creates_a_job_without_a_worker(server: FakeServer, client: Client) -> None:
    seen: list[jobs.CreateJobRequest] = []

    async def create(request: jobs.CreateJobRequest, context: Any) -> Any:
        seen.append(request)
        made = prompt_pb2.Prompt(prompt_id="p1", content=request.prompt)
        return jobs.CreateJobResponse(job=job_pb2.Job(job_id="j1"), prompt=made)

    server.unary["CreateJob"] = create
    run = await client.ask("Deploy?", to=["group:ops"], deadline=60, default=False, contents={"diff": "- a"})
    assert run.prompt
    assert run.prompt.prompt_id == "p1"
    content = seen[0].prompt
    assert (content.kind, list(content.audience.groups)) == ("confirm", ["ops"])
    assert content.default_answer.decision == prompt_pb2.DECISION_REJECT
    with pytest.raises(ValueError, match="needs deadline"):
        await client.ask("Deploy?", default=True)
    with pytest.raises(ValueError, match="group:NAME"):
        await client.ask("Deploy?", to=["ops"])


@pytest.mark.parametrize(
    ("code", "reason", "cls"),
    [
        ("NOT_FOUND", "ERROR_REASON_JOB_NOT_FOUND", errors.NotFound),
        ("NOT_FOUND", "ERROR_REASON_SESSION_NOT_FOUND", errors.SessionNotFound),
        ("FAILED_PRECONDITION", "ERROR_REASON_LEASE_LOST", errors.LeaseLost),
        ("FAILED_PRECONDITION", "ERROR_REASON_ILLEGAL_STATE", errors.FailedPrecondition),
        ("ALREADY_EXISTS", "ERROR_REASON_ID_REUSED", errors.AlreadyExists),
        ("ABORTED", "ERROR_REASON_VERSION_MISMATCH", errors.Aborted),
        ("INTERNAL", "ERROR_REASON_INTERNAL", errors.Internal),
        ("OUT_OF_RANGE", "", errors.AskbackError),
    ],
)
async def test_each_status_raises_its_exception(
    server: FakeServer, client: Client, code: str, reason: str, cls: type[errors.AskbackError]
) -> None:
    async def get(request: Any, context: Any) -> Any:
        bad = error_details_pb2.BadRequest()
        bad.field_violations.add(field="job_id", description="is unknown")
        await context.abort(*with_reason(grpc.StatusCode[code], reason, context, bad, job_id="j1"))

    server.unary["GetJob"] = get
    with pytest.raises(cls) as caught:
        await client.get("j1")
    error = caught.value
    assert type(error) is cls
    assert (error.code, error.reason, error.message) == (code, reason, "said so")
    assert error.metadata == {"job_id": "j1"}
    assert error.violations == (errors.Violation("job_id", "is unknown"),)


async def test_retries_honour_retry_info_and_the_deadline(server: FakeServer, client: Client) -> None:
    times: list[float] = []
    delay = 0.2

    async def get(request: Any, context: Any) -> Any:
        times.append(asyncio.get_running_loop().time())
        if len(times) < 3:
            retry = error_details_pb2.RetryInfo(retry_delay=span(delay))
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            await context.abort(*with_reason(code, "ERROR_REASON_QUEUE_FULL", context, retry))
        return jobs.GetJobResponse(job=job_pb2.Job(job_id="j1"))

    server.unary["GetJob"] = get
    await client.get("j1")
    assert all(later - earlier >= 0.2 for earlier, later in pairwise(times))
    del times[:]
    delay = 60.0
    hasty = Client(server.target, deadline=10)
    with pytest.raises(errors.ResourceExhausted) as caught:
        await hasty.get("j1")
    assert caught.value.retry_after == pytest.approx(60)
    await hasty.aclose()


async def test_a_delete_with_unknown_outcome_is_not_repeated(server: FakeServer, client: Client) -> None:
    calls: list[int] = []

    async def delete(request: Any, context: Any) -> Any:
        calls.append(1)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "broken")

    server.unary["DeleteJob"] = delete
    with pytest.raises(errors.Unavailable):
        await client.delete("j1")
    assert len(calls) == 1


async def test_the_error_of_a_losing_answer_names_the_winner(server: FakeServer, client: Client) -> None:
    async def answer(request: hitl.AnswerPromptRequest, context: Any) -> Any:
        result = hitl.AnswerResult(answer_id=request.answer_id, status=prompt_pb2.ANSWER_STATUS_CLOSED)
        result.prompt.resolution.answer.user_id = "bob"
        code = grpc.StatusCode.FAILED_PRECONDITION
        await context.abort(*with_reason(code, "ERROR_REASON_PROMPT_CLOSED", context, result))

    server.unary["AnswerPrompt"] = answer
    with pytest.raises(errors.PromptClosed) as caught:
        await client.answer(PromptInfo(prompt_pb2.Prompt(prompt_id="p")), DecisionKind.ACCEPT)
    assert caught.value.resolution
    assert caught.value.resolution.answer
    assert caught.value.resolution.answer.by == "bob"


async def test_lists_fetch_pages_on_demand(server: FakeServer, client: Client) -> None:
    pages: list[str] = []

    async def list_jobs(request: jobs.ListJobsRequest, context: Any) -> Any:
        pages.append(request.page_token)
        assert list(request.filter.states) == [job_pb2.JOB_STATE_RUNNING]
        following = "" if request.page_token else "2"
        return jobs.ListJobsResponse(jobs=[job_pb2.Job(job_id=f"j{len(pages)}")], next_page_token=following)

    server.unary["ListJobs"] = list_jobs
    assert [job.job_id async for job in client.list(states=[JobState.RUNNING])] == ["j1", "j2"]
    assert pages == ["", "2"]


class Watched:
    """WatchJob that breaks off, repeats and stutters."""

    def __init__(self, *plays: list[int | str | grpc.StatusCode | None]) -> None:
        self.plays = list(plays)
        self.after: list[int] = []

    async def __call__(self, request: jobs.WatchJobRequest, context: Any) -> AsyncIterator[Any]:
        self.after.append(request.after_seq)
        for item in self.plays.pop(0):
            if isinstance(item, int):
                last = item == 5
                kind = "JOB_COMPLETED" if last else "JOB_PROGRESSED"
                event = job_pb2.JobEvent(
                    job_id="j1",
                    seq=item,
                    type=job_pb2.JobEventType.Value(f"JOB_EVENT_TYPE_{kind}"),
                    state=state("COMPLETED" if last else "RUNNING"),
                    data_json='{"done":1,"message":"m"}',
                )
                yield jobs.WatchJobResponse(events=[event])
            elif isinstance(item, str):
                await context.abort(*with_reason(grpc.StatusCode.NOT_FOUND, item, context))
            elif item is not None:
                await context.abort(item, "broken")


async def test_a_broken_watch_resumes_without_gap_or_repeat(server: FakeServer, client: Client) -> None:
    async def get(request: Any, context: Any) -> Any:
        return jobs.GetJobResponse(job=job_pb2.Job(job_id="j1", state=state("RUNNING")))

    watched = Watched([1, 2, grpc.StatusCode.UNAVAILABLE], [2, 3, None], [4, grpc.StatusCode.INTERNAL], [5])
    server.streams["WatchJob"], server.unary["GetJob"] = watched, get
    events: list[Event] = [event async for event in client.run("j1").watch()]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert watched.after == [0, 2, 3, 4]
    assert (events[0].type, events[0].done, events[0].message) == ("JOB_PROGRESSED", 1, "m")
    assert events[-1].state is JobState.COMPLETED


async def test_watch_raises_on_a_gap_and_on_an_unknown_job(server: FakeServer, client: Client) -> None:
    server.streams["WatchJob"] = Watched([1, 3], ["ERROR_REASON_JOB_NOT_FOUND"])
    with pytest.raises(errors.Internal, match="event 3 came after 1"):
        [event async for event in client.run("j1").watch()]
    with pytest.raises(errors.NotFound):
        [event async for event in client.run("j1").watch()]


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        (job_pb2.Job(state=state("COMPLETED"), result_json=json.dumps({"a": 2**60})), {"a": 2**60}),
        (
            job_pb2.Job(state=state("FAILED"), failure=job_pb2.Failure(code="X", message="boom")),
            errors.JobFailed,
        ),
        (job_pb2.Job(state=state("CANCELLED")), errors.JobCancelled),
    ],
)
async def test_result_waits_for_the_end_of_the_job(
    server: FakeServer, client: Client, final: job_pb2.Job, expected: Any
) -> None:
    answers = [job_pb2.Job(state=state("RUNNING"), version=4), final]

    async def get(request: Any, context: Any) -> Any:
        return jobs.GetJobResponse(job=answers.pop(0))

    watched = Watched([5])
    server.unary["GetJob"], server.streams["WatchJob"] = get, watched
    run = client.run("j1")
    if isinstance(expected, type):
        with pytest.raises(expected) as caught:
            await run.result()
        if isinstance(caught.value, errors.JobFailed):
            assert (caught.value.failure_code, caught.value.message) == ("X", "boom")
    else:
        assert await run.result() == expected
    assert watched.after == [4]


async def test_watch_all_resumes_by_token(server: FakeServer, client: Client) -> None:
    tokens: list[str] = []

    async def watch(request: jobs.WatchJobsRequest, context: Any) -> AsyncIterator[Any]:
        tokens.append(request.resume_token)
        if not request.resume_token:
            yield jobs.WatchJobsResponse(jobs=[job_pb2.Job(job_id="a")], caught_up=True, resume_token="t")
            await context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
        yield jobs.WatchJobsResponse(reset="too old", jobs=[job_pb2.Job(job_id="b")], removed_job_ids=["a"])

    server.streams["WatchJobs"] = watch
    seen: list[tuple[str, str]] = []
    async for change in client.watch_all():
        seen.append((change.kind, change.job_id))
        if len(seen) == 5:
            break
    assert seen == [("changed", "a"), ("caught_up", ""), ("reset", ""), ("changed", "b"), ("removed", "a")]
    assert tokens == ["", "t"]


def test_the_client_takes_the_server_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASKBACK_SERVER", raising=False)
    monkeypatch.delenv("ASKBACK_TOKEN", raising=False)
    assert Endpoint.resolve().target == DEFAULT_TARGET
    assert Endpoint.resolve(user="ana", groups=["a", "b"]).metadata() == (
        ("askback-user", "ana"),
        ("askback-groups", "a,b"),
    )
    monkeypatch.setenv("ASKBACK_SERVER", "there:1")
    monkeypatch.setenv("ASKBACK_TOKEN", "secret")
    endpoint = Endpoint.resolve()
    assert endpoint.target == "there:1"
    assert endpoint.metadata() == (("authorization", "Bearer secret"),)
    assert "secret" not in repr(endpoint)
    assert Endpoint.resolve("here:2").target == "here:2"
