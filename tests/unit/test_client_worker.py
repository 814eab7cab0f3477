"""A worker against a scripted server: asks, replays, steps, parks, resumes, stops."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any

import grpc
import pytest
from pydantic import BaseModel, Field

from askback import errors
from askback._model import nonretryable
from askback._worker.job import Job
from askback._worker.worker import Worker
from askback.v1 import job_pb2, prompt_pb2, stream_pb2
from askback.v1 import worker_service_pb2 as pb
from tests.support.fake_server import FakeServer, FakeStream, span, work_welcome
from tests.support.statuses import with_reason


class Policy(StrEnum):
    STANDARD = "standard"
    GOODWILL = "goodwill"


class Ruling(BaseModel):
    policy: Policy
    amount: float = Field(ge=0)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    server = FakeServer()
    await server.start()
    yield server
    await server.stop()


Function = Callable[..., Awaitable[Any]]


class Bench:
    """A worker with one function, and the server's side of its stream."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.stream: FakeStream = None  # type: ignore[assignment]
        self.worker: Worker = None  # type: ignore[assignment]

    async def start(self, function: Function, welcome: Any = None, **options: Any) -> None:
        self.worker = Worker(self.server.target, drain_timeout=1, **options)
        self.worker.job("t")(function)
        starting = asyncio.create_task(self.worker.start(5))
        self.stream = await self.server.work()
        hello = await self.stream.next("hello")
        assert list(hello.hello.job_types) == ["t"]
        self.stream.send(hello.ref, **work_welcome(**(welcome or {})))
        await starting

    def lease(self, token: int = 1, job_id: str = "j1", **more: Any) -> None:
        job = job_pb2.Job(job_id=job_id, job_type="t", attempt=1, input_json=more.pop("input", ""))
        leased = pb.LeasedJob(job=job, token=token, **more)
        self.stream.send(job_leased=pb.WorkJobLeased(leased_job=leased))

    async def reconnected(self, **welcome: Any) -> pb.WorkHello:
        """The next stream's hello, welcomed."""
        self.stream = await self.server.work()
        frame = await self.stream.next("hello")
        self.stream.send(frame.ref, **work_welcome(**welcome))
        hello: pb.WorkHello = frame.hello
        return hello

    async def holds(self, jobs: int) -> None:
        """Wait until the worker holds so many."""
        while self.worker.holding != jobs:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def asked(self, frame: pb.WorkClientFrame, **more: Any) -> prompt_pb2.Prompt:
        ask = frame.ask_prompt
        prompt = prompt_pb2.Prompt(
            prompt_id=f"p-{ask.key}",
            job_id=ask.job_id,
            key=ask.key,
            revision=1,
            version=1,
            state=prompt_pb2.PROMPT_STATE_PENDING,
            content=ask.content,
        )
        prompt.MergeFrom(prompt_pb2.Prompt(**more))
        self.stream.send(frame.ref, ask_prompt=pb.AskPromptResponse(prompt=prompt))
        return prompt

    def answer(self, prompt: prompt_pb2.Prompt, decision: str, values: Any = None, **more: Any) -> None:
        prompt = resolved(prompt, decision, values, **more)
        self.stream.send(prompt_resolved=pb.WorkPromptResolved(prompt=prompt))

    async def ended(self) -> pb.WorkClientFrame:
        """The job's last word, replied to."""
        frame = await self.stream.next("complete_job", "fail_job", "release_job")
        name = frame.WhichOneof("body")
        reply = {
            "complete_job": pb.CompleteJobResponse,
            "fail_job": pb.FailJobResponse,
            "release_job": pb.ReleaseJobResponse,
        }[name]
        self.stream.send(frame.ref, **{name: reply()})
        last: pb.WorkClientFrame = frame
        return last

    async def result(self) -> Any:
        frame = await self.ended()
        assert frame.WhichOneof("body") == "complete_job", frame
        return json.loads(frame.complete_job.result_json or "null")


def resolved(prompt: prompt_pb2.Prompt, decision: str, values: Any = None, **more: Any) -> prompt_pb2.Prompt:
    """The prompt with its answer."""
    closed = prompt_pb2.Prompt()
    closed.CopyFrom(prompt)
    closed.state = prompt_pb2.PROMPT_STATE_ANSWERED
    closed.version += 1
    closed.resolution.state = closed.state
    answer = closed.resolution.answer
    answer.MergeFrom(prompt_pb2.Answer(user_id="ana", **more))
    answer.decision = prompt_pb2.Decision.Value(f"DECISION_{decision}")
    answer.values_json = json.dumps(values) if values is not None else ""
    return closed


def ended_as(prompt: prompt_pb2.Prompt, state: str) -> prompt_pb2.Prompt:
    closed = prompt_pb2.Prompt()
    closed.CopyFrom(prompt)
    closed.state = closed.resolution.state = prompt_pb2.PromptState.Value(f"PROMPT_STATE_{state}")
    return closed


@pytest.fixture
async def bench(server: FakeServer) -> AsyncIterator[Bench]:
    bench = Bench(server)
    yield bench
    if bench.worker is not None:
        closing = asyncio.create_task(bench.worker.aclose(drain_timeout=0))
        await asyncio.sleep(0)
        while not closing.done():
            bench.stream.end()
            await asyncio.wait((closing,), timeout=0.1)
    left = {task for task in asyncio.all_tasks() if task.get_name().startswith("askback")}
    assert not left


async def test_ask_returns_the_model(bench: Bench) -> None:
    async def fn(job: Job, order: str, days: int = 3) -> float:
        ruling = await job.ask(
            "How?", Ruling, key="ruling", to=["group:desk", "user:bob"], deadline=timedelta(hours=4)
        )
        assert isinstance(ruling, Ruling)
        assert ruling.policy is Policy.GOODWILL
        return ruling.amount + days

    await bench.start(fn)
    bench.lease(input='{"order":"A-17","days":2}')
    frame = await bench.stream.next()
    content = frame.ask_prompt.content
    assert list(json.loads(content.schema_json)["properties"]) == ["policy", "amount"]
    assert "$ref" not in content.schema_json
    assert (list(content.audience.groups), list(content.audience.users)) == (["desk"], ["bob"])
    assert content.timeout.ToTimedelta() == timedelta(hours=4)
    assert content.kind == "clarify"
    assert content.blocking
    bench.answer(bench.asked(frame), "RESPOND", {"policy": "goodwill", "amount": 12.5})
    ack = await bench.stream.next("acknowledge_prompts")
    assert list(ack.acknowledge_prompts.prompt_ids) == ["p-ruling"]
    assert await bench.result() == 14.5


async def test_a_primitive_is_wrapped_and_comes_back_bare(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return [await job.ask("How many?", int, key="n"), await job.ask("Why?", key="w")]

    await bench.start(fn)
    bench.lease()
    frame = await bench.stream.next()
    assert json.loads(frame.ask_prompt.content.schema_json)["properties"]["value"]["type"] == "integer"
    bench.answer(bench.asked(frame), "RESPOND", {"value": 2**53 + 1})
    frame = await bench.stream.next("ask_prompt")
    bench.answer(bench.asked(frame), "RESPOND", {"value": "so"})
    assert await bench.result() == [2**53 + 1, "so"]


async def test_several_asks_at_once(bench: Bench) -> None:
    async def fn(job: Job) -> list[int]:
        return await asyncio.gather(*(job.ask(f"{i}?", int, key=f"k{i}") for i in range(3)))

    await bench.start(fn)
    bench.lease()
    prompts = [bench.asked(await bench.stream.next("ask_prompt")) for _ in range(3)]
    for i in (2, 0, 1):
        bench.answer(prompts[i], "RESPOND", {"value": i * 10})
    assert await bench.result() == [0, 10, 20]


@pytest.mark.parametrize(("decision", "yes"), [("ACCEPT", True), ("REVISE", False), ("REJECT", False)])
async def test_confirm_is_true_for_accept_only(bench: Bench, decision: str, yes: bool) -> None:
    async def fn(job: Job) -> Any:
        found = await job.confirm("Pay?", key="pay", default=False, deadline=60)
        return [bool(found), found.decision, found.comment, found.by]

    await bench.start(fn)
    bench.lease()
    frame = await bench.stream.next()
    content = frame.ask_prompt.content
    assert content.final_action == prompt_pb2.FINAL_ACTION_DEFAULT
    assert content.default_answer.decision == prompt_pb2.DECISION_REJECT
    bench.answer(bench.asked(frame), decision, comment="so")
    assert await bench.result() == [yes, decision, "so", "ana"]


async def test_preview_gives_edited_and_untouched_texts(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        found = await job.preview("Look", key="look", contents={"a": "old a", "b": "old b"})
        return [bool(found), found.text("a"), found.text("b"), found.edits]

    await bench.start(fn)
    bench.lease()
    prompt = bench.asked(await bench.stream.next())
    bench.answer(prompt, "EDIT", edits=[prompt_pb2.Edit(content_id="a", text="new a")])
    assert await bench.result() == [True, "new a", "old b", {"a": "new a"}]


async def test_the_answer_in_the_reply_or_before_it_counts(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return [bool(await job.confirm("1?", key="a")), bool(await job.confirm("2?", key="b"))]

    await bench.start(fn)
    bench.lease()
    frame = await bench.stream.next("ask_prompt")
    prompt = prompt_pb2.Prompt(prompt_id="p", job_id="j1", key="a", content=frame.ask_prompt.content)
    bench.stream.send(frame.ref, ask_prompt=pb.AskPromptResponse(prompt=resolved(prompt, "ACCEPT")))
    frame = await bench.stream.next("ask_prompt")
    prompt = prompt_pb2.Prompt(prompt_id="q", job_id="j1", key="b", content=frame.ask_prompt.content)
    bench.answer(prompt, "ACCEPT")
    bench.asked(frame)
    assert await bench.result() == [True, True]


async def test_a_second_run_gets_its_answers_and_steps_from_the_lease(bench: Bench) -> None:
    computed: list[str] = []

    def compute(what: str) -> dict[str, str]:
        computed.append(what)
        return {"did": what}

    async def fn(job: Job) -> Any:
        first = await job.step("load", compute, "load")
        ok = await job.confirm("Go on?", key="go")
        second = await job.step("store", compute, "store")
        return [first, bool(ok), second]

    await bench.start(fn)
    bench.lease(1)
    save = await bench.stream.next()
    point = save.save_checkpoint
    assert (point.key, json.loads(point.value_json)) == ("load", {"did": "load"})
    bench.stream.send(save.ref, save_checkpoint=pb.SaveCheckpointResponse())
    prompt = bench.asked(await bench.stream.next())
    bench.stream.send(lease_lost=pb.WorkLeaseLost(job_id="j1", token=1))
    assert not await bench.stream.quiet()

    known = resolved(prompt, "ACCEPT")
    # The server fills in the kind's decisions; that makes it no other question.
    known.content.decisions.add(decision=prompt_pb2.DECISION_ACCEPT, label="Confirm")
    bench.lease(2, prompts=[known], checkpoints=[pb.Checkpoint(key="load", value_json=point.value_json)])
    assert (await bench.stream.next()).WhichOneof("body") == "acknowledge_prompts"
    save = await bench.stream.next()
    assert save.save_checkpoint.key == "store"
    assert save.save_checkpoint.token == 2
    bench.stream.send(save.ref, save_checkpoint=pb.SaveCheckpointResponse())
    assert await bench.result() == [{"did": "load"}, True, {"did": "store"}]
    assert computed == ["load", "store"]


async def test_another_question_under_the_key_is_judged_by_the_server(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return bool(await job.confirm("Delete production?", key="go"))

    await bench.start(fn)
    old = prompt_pb2.Prompt(prompt_id="p", job_id="j1", key="go")
    old.content.CopyFrom(prompt_pb2.PromptContent(kind="confirm", title="Delete staging?", blocking=True))
    bench.lease(prompts=[resolved(old, "ACCEPT")])
    frame = await bench.stream.next()
    assert frame.WhichOneof("body") == "ask_prompt"
    error = stream_pb2.FrameError(code=6, reason="ERROR_REASON_ID_REUSED", message="another question")
    bench.stream.send(frame.ref, error=error)
    failed = (await bench.ended()).fail_job
    assert failed.failure.code == "QuestionChanged"
    assert "the title was 'Delete staging?', is 'Delete production?'" in failed.failure.message
    assert (failed.retryable, failed.keep_attempt) == (True, True)


async def test_checkpoints_beyond_the_lease_are_paged(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return await job.step("z", lambda: pytest.fail("computed again"))

    await bench.start(fn)
    bench.lease(more=True)
    for page, point in (("", "a"), ("2", "z")):
        frame = await bench.stream.next()
        assert frame.list_checkpoints.page_token == page
        reply = pb.ListCheckpointsResponse(next_page_token="" if page else "2")
        reply.checkpoints.add(key=point, value_json="7")
        bench.stream.send(frame.ref, list_checkpoints=reply)
    assert await bench.result() == 7


async def test_a_job_that_only_waits_is_parked_and_run_again(bench: Bench) -> None:
    runs: list[int] = []

    async def fn(job: Job) -> Any:
        runs.append(job.token)
        return bool(await job.confirm("Go?", key="go"))

    await bench.start(fn, park_after=0.2)
    bench.lease(1)
    prompt = bench.asked(await bench.stream.next())
    assert (await bench.ended()).WhichOneof("body") == "release_job"
    await bench.holds(0)
    bench.lease(2, prompts=[resolved(prompt, "ACCEPT")])
    assert await bench.result() is True
    assert runs == [1, 2]


async def test_a_job_that_does_something_is_not_parked(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        async def slow() -> int:
            await asyncio.sleep(0.5)
            return 1

        ok, _ = await asyncio.gather(job.confirm("Go?", key="go"), job.step("slow", slow))
        return bool(ok)

    await bench.start(fn, park_after=0.15)
    bench.lease(1)
    prompt = bench.asked(await bench.stream.next("ask_prompt"))
    save = await bench.stream.next()
    assert save.WhichOneof("body") == "save_checkpoint"
    bench.stream.send(save.ref, save_checkpoint=pb.SaveCheckpointResponse())
    bench.answer(prompt, "ACCEPT")
    assert await bench.result() is True


async def test_resume_keeps_the_coroutine_and_asks_again(bench: Bench) -> None:
    runs: list[int] = []

    async def fn(job: Job) -> Any:
        runs.append(1)
        return bool(await job.confirm("Go?", key="go"))

    await bench.start(fn)
    bench.lease(7)
    prompt = bench.asked(await bench.stream.next())
    bench.stream.end(grpc.StatusCode.UNAVAILABLE)
    hello = await bench.reconnected(resumed=True)
    assert (hello.session_id, hello.session_secret) == ("s1", "secret")
    assert [(held.job_id, held.token) for held in hello.held_jobs] == [("j1", 7)]
    frame = await bench.stream.next()
    assert frame.ask_prompt.key == "go"
    # The answer came while the worker was away.
    reply = pb.AskPromptResponse(prompt=resolved(prompt, "ACCEPT"), replayed=True)
    bench.stream.send(frame.ref, ask_prompt=reply)
    assert await bench.result() is True
    assert runs == [1]


async def test_lost_jobs_of_a_welcome_are_cancelled(bench: Bench) -> None:
    cancelled: list[str] = []

    async def fn(job: Job) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(job.job_id)
            raise

    await bench.start(fn)
    bench.lease(1, "j1")
    bench.lease(1, "j2")
    await bench.holds(2)
    bench.stream.end(grpc.StatusCode.UNAVAILABLE)
    await bench.reconnected(resumed=True, lost_job_ids=["j2"])
    assert not await bench.stream.quiet()
    assert cancelled == ["j2"]
    assert bench.worker.holding == 1


async def test_a_session_that_is_gone_takes_its_jobs_along(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        await asyncio.sleep(60)

    await bench.start(fn)
    bench.lease(1)
    await bench.holds(1)
    bench.stream.end(grpc.StatusCode.UNAVAILABLE)
    refused = await bench.server.work()
    await refused.next("hello")
    refused.end(*with_reason(grpc.StatusCode.NOT_FOUND, "ERROR_REASON_SESSION_NOT_FOUND", refused.context))
    hello = await bench.reconnected(session="s2")
    assert hello.session_id == ""
    assert not hello.held_jobs
    assert bench.worker.holding == 0
    assert not await bench.stream.quiet()


async def test_an_unanswered_completion_is_sent_again(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return {"b": 1, "a": 2}

    await bench.start(fn)
    bench.lease(3)
    first = await bench.stream.next("complete_job")
    bench.stream.end(grpc.StatusCode.UNAVAILABLE)
    hello = await bench.reconnected(resumed=True)
    assert len(hello.held_jobs) == 1
    again = await bench.ended()
    assert again == first
    assert again.complete_job.result_json == '{"b":1,"a":2}'


async def test_go_away_moves_the_session_without_losing_the_job(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return bool(await job.confirm("Go?", key="go"))

    await bench.start(fn)
    bench.lease(7)
    prompt = bench.asked(await bench.stream.next())
    old = bench.stream
    old.send(go_away=pb.WorkGoAway(reason="drain", after=span(1)))
    new = await bench.server.work()
    frame = await new.next("hello")
    # The old stream loses its leases to the new one and says so; the job is held all the same.
    old.send(lease_lost=pb.WorkLeaseLost(job_id="j1", token=7))
    await asyncio.sleep(0.1)
    new.send(frame.ref, **work_welcome(resumed=True))
    await asyncio.wait_for(old.half_closed.wait(), 2)
    assert "goodbye" not in [f.WhichOneof("body") for m in old.messages for f in m.frames]
    bench.stream = new
    await new.next("ask_prompt")
    bench.answer(prompt, "ACCEPT")
    assert await bench.result() is True


async def test_a_cancel_wish_is_confirmed_by_a_release(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        await job.confirm("Go?", key="go")

    await bench.start(fn)
    bench.lease(1)
    bench.asked(await bench.stream.next())
    bench.stream.send(cancel_requested=pb.WorkCancelRequested(job_id="j1", reason="changed my mind"))
    assert (await bench.ended()).WhichOneof("body") == "release_job"


class _Fatal(nonretryable.NonRetryable):
    pass


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (ValueError("bad"), "ValueError", True),
        (_Fatal("never"), "Fatal", False),
        (nonretryable.NonRetryable("never", code="OWN"), "OWN", False),
    ],
)
async def test_an_exception_fails_the_attempt(
    bench: Bench, error: Exception, code: str, retryable: bool
) -> None:
    async def fn(job: Job) -> Any:
        raise error

    await bench.start(fn)
    bench.lease()
    failed = (await bench.ended()).fail_job
    assert (failed.failure.code, failed.failure.message) == (code, str(error))
    assert failed.retryable is retryable


async def test_a_worker_without_a_server_says_so_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """In each outage, at a level that is printed by default: whoever wonders why it does nothing sees it."""
    caplog.set_level("WARNING")

    async def fn(job: Job) -> None: ...

    def said() -> int:
        return sum("no connection to the server" in record.getMessage() for record in caplog.records)

    await bench.start(fn)
    assert not said()
    for outage in (1, 2):
        bench.stream.end(grpc.StatusCode.UNAVAILABLE, "away")
        (await bench.server.work()).end(grpc.StatusCode.UNAVAILABLE, "still away")
        await bench.reconnected(resumed=True)
        assert said() == outage


@pytest.mark.parametrize("given", ['{"order":1}', '{"orders":"x"}', "{}", "[1,2]"])
async def test_an_input_that_does_not_fit_fails_for_good(bench: Bench, given: str) -> None:
    async def fn(job: Job, order: str) -> Any:
        return order

    await bench.start(fn)
    bench.lease(input=given)
    failed = (await bench.ended()).fail_job
    assert failed.failure.code == "InvalidInput"
    assert not failed.retryable


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("EXPIRED", errors.PromptExpired),
        ("CANCELLED", errors.PromptCancelled),
        ("SUPERSEDED", errors.PromptCancelled),
    ],
)
async def test_a_question_without_an_answer_raises(bench: Bench, state: str, error: type[Exception]) -> None:
    async def fn(job: Job) -> Any:
        with pytest.raises(error):
            await job.ask("How?", int, key="n")
        return await job.ask("How?", int, key="m", default=None, deadline=1) if state == "EXPIRED" else None

    await bench.start(fn)
    bench.lease()
    prompt = bench.asked(await bench.stream.next())
    bench.stream.send(prompt_resolved=pb.WorkPromptResolved(prompt=ended_as(prompt, state)))
    if state == "EXPIRED":
        prompt = bench.asked(await bench.stream.next("ask_prompt"))
        bench.stream.send(prompt_resolved=pb.WorkPromptResolved(prompt=ended_as(prompt, state)))
    assert await bench.result() is None


async def test_a_no_to_a_question_raises_and_says_why(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        with pytest.raises(errors.PromptDeclined) as caught:
            await job.ask("How?", int, key="n")
        return [caught.value.decision, caught.value.comment, caught.value.by]

    await bench.start(fn)
    bench.lease()
    bench.answer(bench.asked(await bench.stream.next()), "DISMISS", comment="not mine")
    assert await bench.result() == ["DISMISS", "not mine", "ana"]


async def test_of_questions_asked_at_once_a_no_ends_all(bench: Bench) -> None:
    """No task is left behind that waits for an answer for ever."""
    others: list[asyncio.Task[int]] = []

    async def fn(job: Job) -> Any:
        others.append(asyncio.create_task(job.ask("Other?", int, key="other")))
        return await asyncio.gather(job.ask("How?", int, key="n"), *others)

    await bench.start(fn)
    bench.lease()
    prompts = [bench.asked(await bench.stream.next("ask_prompt")) for _ in range(2)]
    bench.answer(next(p for p in prompts if p.key == "n"), "DISMISS", comment="not mine")
    assert (await bench.ended()).fail_job.failure.code == "PromptDeclined"
    await bench.holds(0)
    await asyncio.wait(others, timeout=5)
    assert others[0].cancelled()


@pytest.mark.parametrize(
    ("inner", "code", "retryable"),
    [
        ([ValueError("bad"), KeyError("x")], "ValueError", True),
        ([ValueError("bad"), _Fatal("never")], "Fatal", False),
        ([ExceptionGroup("in it", [_Fatal("never")])], "Fatal", False),
    ],
)
async def test_a_task_group_fails_the_attempt_by_the_error_that_decides(
    bench: Bench, inner: list[Exception], code: str, retryable: bool
) -> None:
    async def fn(job: Job) -> Any:
        raise ExceptionGroup("rows", inner)

    await bench.start(fn)
    bench.lease()
    failed = (await bench.ended()).fail_job
    assert (failed.failure.code, failed.retryable) == (code, retryable)


async def test_progress_is_coalesced_and_the_newest_is_said(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        for i in range(1, 100):
            await job.progress(i, 100)

    await bench.start(fn)
    bench.lease()
    first = await bench.stream.next()
    assert first.report_progress.progress.done == 1
    last = await bench.stream.next()
    assert last.report_progress.progress.done == 99
    assert await bench.result() is None


async def test_drain_lets_a_running_job_end_and_gives_a_waiting_one_back(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        if job.job_id == "waits":
            await job.confirm("Go?", key="go")
        else:
            await asyncio.sleep(0.3)
            return "done"

    await bench.start(fn)
    bench.lease(1, "waits")
    bench.asked(await bench.stream.next())
    bench.lease(1, "runs")
    await bench.holds(2)
    closing = asyncio.create_task(bench.worker.aclose())
    assert (await bench.stream.next()).capacity.capacity == 0
    released = await bench.ended()
    assert released.release_job.job_id == "waits"
    assert await bench.result() == "done"
    await bench.stream.next("goodbye")
    bench.stream.end()
    await asyncio.wait_for(closing, 2)
