"""A worker with one job function, against a fake server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from askback._worker.worker import Worker
from askback.v1 import job_pb2, prompt_pb2
from askback.v1 import worker_service_pb2 as pb
from tests.support.fake_server import FakeServer, FakeStream, work_welcome

Function = Callable[..., Awaitable[Any]]


class WorkerHarness:
    """A worker with one job function, and the server's side of its stream."""

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

    async def next_hello(self, **welcome: Any) -> pb.WorkHello:
        """Accept the worker's next stream: reply to its hello with a welcome. Returns the hello."""
        self.stream = await self.server.work()
        frame = await self.stream.next("hello")
        self.stream.send(frame.ref, **work_welcome(**welcome))
        hello: pb.WorkHello = frame.hello
        return hello

    async def wait_until_holding(self, jobs: int) -> None:
        """Wait until the worker holds this number of jobs."""
        while self.worker.holding != jobs:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def accept_ask(self, frame: pb.WorkClientFrame, **more: Any) -> prompt_pb2.Prompt:
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
        prompt = with_answer(prompt, decision, values, **more)
        self.stream.send(prompt_resolved=pb.WorkPromptResolved(prompt=prompt))

    async def wait_for_end(self) -> pb.WorkClientFrame:
        """Wait for the frame that ends or releases the job, and reply to it. Returns the frame."""
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
        frame = await self.wait_for_end()
        assert frame.WhichOneof("body") == "complete_job", frame
        return json.loads(frame.complete_job.result_json or "null")


def with_answer(
    prompt: prompt_pb2.Prompt, decision: str, values: Any = None, **more: Any
) -> prompt_pb2.Prompt:
    """A copy of the prompt, resolved by an answer."""
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


def with_end(prompt: prompt_pb2.Prompt, state: str) -> prompt_pb2.Prompt:
    closed = prompt_pb2.Prompt()
    closed.CopyFrom(prompt)
    closed.state = closed.resolution.state = prompt_pb2.PromptState.Value(f"PROMPT_STATE_{state}")
    return closed
