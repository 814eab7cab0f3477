"""The bare floor: the same frames over bare grpc.aio, relayed in memory without checks or storage.

The durable floor (`tests/bench/durable.py`) is this relay with commits: every change passes `Relay.commit`.
python -m tests.bench.relay --listen 127.0.0.1:0
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import grpc

from askback.v1 import hitl_service_pb2, job_pb2, job_service_pb2, prompt_pb2, worker_service_pb2
from askback_server.__main__ import _loop_factory
from askback_server.domain.checks import normalise
from askback_server.domain.limits import Limits
from askback_server.ports.clock import uuid7
from askback_server.transport.convert import contents
from askback_server.transport.server import OPTIONS
from tests.bench import questions
from tests.bench.outbox import Outbox

Change = Literal["create", "lease", "complete", "ask", "answer"]
"""What happens to a job."""

_Frame = worker_service_pb2.WorkServerFrame
_ServerFrame = hitl_service_pb2.ConverseServerFrame

_DIGEST = 64 * "0"
"""In place of a digest of what is shown: as long, and not computed."""


class Worker:
    """A connected worker and its jobs."""

    def __init__(self, outbox: Outbox, hello: worker_service_pb2.WorkHello) -> None:
        self.outbox = outbox
        self.worker_id = hello.worker_id
        self.types = set(hello.job_types)
        self.capacity = hello.capacity
        self.jobs: dict[str, job_pb2.Job] = {}


@dataclass(eq=False)
class Call:
    """A LeaseJobs call that waits for a job."""

    worker_id: str
    leased: asyncio.Future[job_pb2.Job]


class Relay:
    """Relays prompts to the console that watches their job type, and answers to the worker that asked."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._waiting: list[job_pb2.Job] = []
        self._calls: deque[Call] = deque()
        """Calls that wait for jobs of `questions.CALLED`."""
        self._called: deque[job_pb2.Job] = deque()
        """Jobs of that type that wait for a call."""
        self._leased: dict[str, job_pb2.Job] = {}
        """Jobs that were leased by calls."""
        self._consoles: dict[str, Outbox] = {}
        self._asked: dict[str, tuple[prompt_pb2.Prompt, Worker]] = {}
        self._additions = [_additions(shape) for shape in questions.shapes()]

    def commit(
        self,
        change: Change,
        job: job_pb2.Job,
        prompt: prompt_pb2.Prompt | None,
        then: Callable[[], None],
    ) -> None:
        """Store the job and the prompt as they are after the change, then call `then`."""
        then()

    async def create_job(self, request: job_service_pb2.CreateJobRequest, _: Any) -> Any:
        """Create a job, and lease it with the same commit to a worker with free capacity."""
        job = job_pb2.Job(
            job_id=uuid7(),
            namespace="default",
            job_type=request.job_type,
            user_id="anonymous",
            state=job_pb2.JOB_STATE_PENDING,
            input_json=request.input_json,
            max_attempts=3,
            version=1,
            request_id=request.request_id,
        )
        _stamp(job.create_time)
        _stamp(job.update_time)
        job.root_job_id = job.job_id
        created = asyncio.get_running_loop().create_future()
        reply = job_service_pb2.CreateJobResponse(job=job)
        self.commit("create", job, None, lambda: created.set_result(None))
        if job.job_type != questions.CALLED:
            self._waiting.append(job)
            self._lease_waiting()
        elif self._calls:
            self._lease_to(self._calls.popleft(), job)
        else:
            self._called.append(job)
        await created
        return reply

    def _lease_waiting(self) -> None:
        """Lease waiting jobs to the workers with the most free capacity."""
        still = []
        for job in self._waiting:
            able = [w for w in self._workers if job.job_type in w.types and w.capacity > len(w.jobs)]
            if not able:
                still.append(job)
                continue
            worker = max(able, key=lambda w: w.capacity - len(w.jobs))
            worker.jobs[job.job_id] = job
            self._lease(job, worker)
        self._waiting = still

    def _lease(self, job: job_pb2.Job, worker: Worker) -> None:
        def send() -> None:
            leased = worker_service_pb2.LeasedJob(job=job, token=1)
            worker.outbox.send(_Frame(job_leased=worker_service_pb2.WorkJobLeased(leased_job=leased)))

        _run(job, worker.worker_id)
        self.commit("lease", job, None, send)

    # Workers that call.

    async def lease_jobs(self, request: worker_service_pb2.LeaseJobsRequest, _: Any) -> Any:
        """Lease the jobs that are ready, or wait for the first one."""
        new = asyncio.get_running_loop().create_future
        ready = [self._called.popleft() for _ in range(min(len(self._called), request.max_jobs))]
        calls = [Call(request.worker_id, new()) for _ in ready]
        for call, job in zip(calls, ready, strict=True):
            self._lease_to(call, job)
        if not ready:
            call = Call(request.worker_id, new())
            self._calls.append(call)
            await asyncio.wait([call.leased], timeout=request.wait.seconds)
            if call in self._calls:
                self._calls.remove(call)
            else:
                calls.append(call)
        return worker_service_pb2.LeaseJobsResponse(
            session_id=request.session_id or uuid7(),
            session_secret=request.session_secret or uuid7(),
            jobs=[worker_service_pb2.LeasedJob(job=await call.leased, token=1) for call in calls],
        )

    def _lease_to(self, call: Call, job: job_pb2.Job) -> None:
        def reply() -> None:
            self._leased[job.job_id] = job
            call.leased.set_result(job)

        _run(job, call.worker_id)
        self.commit("lease", job, None, reply)

    async def complete_job(self, request: worker_service_pb2.CompleteJobRequest, _: Any) -> Any:
        """Complete a job that was leased by a call."""
        job = self._leased.pop(request.job_id)
        completed = asyncio.get_running_loop().create_future()
        self._complete(job, request, lambda: completed.set_result(None))
        await completed
        return worker_service_pb2.CompleteJobResponse(job=job)

    def _complete(
        self, job: job_pb2.Job, request: worker_service_pb2.CompleteJobRequest, then: Callable[[], None]
    ) -> None:
        job.state = job_pb2.JOB_STATE_COMPLETED
        job.result_json = request.result_json
        job.version += 1
        _stamp(job.update_time)
        _stamp(job.complete_time)
        self.commit("complete", job, None, then)

    # Streams.

    async def work(self, _: Any, context: Any) -> None:
        """Serve a worker's stream."""
        outbox = Outbox(context.write, worker_service_pb2.WorkResponse)
        writer = asyncio.create_task(outbox.run())
        worker = None
        try:
            while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                for frame in message.frames:
                    name = frame.WhichOneof("body")
                    if name == "ask_prompt":
                        assert worker is not None
                        self._ask(worker, frame.ref, frame.ask_prompt)
                    elif name == "complete_job":
                        assert worker is not None
                        self._complete_on_stream(worker, frame)
                    elif name == "hello":
                        worker = Worker(outbox, frame.hello)
                        self._workers.append(worker)
                        welcome = worker_service_pb2.WorkWelcome(session_id=uuid7(), replica="relay")
                        outbox.send(_Frame(ref=frame.ref, welcome=welcome))
                        self._lease_waiting()
                    elif name == "capacity":
                        assert worker is not None
                        worker.capacity = frame.capacity.capacity
                        self._lease_waiting()
        finally:
            writer.cancel()
            if worker is not None:
                self._workers.remove(worker)

    def _complete_on_stream(self, worker: Worker, frame: worker_service_pb2.WorkClientFrame) -> None:
        job = worker.jobs[frame.complete_job.job_id]

        def reply() -> None:
            del worker.jobs[job.job_id]
            completed = worker_service_pb2.CompleteJobResponse(job=job)
            worker.outbox.send(_Frame(ref=frame.ref, complete_job=completed))
            self._lease_waiting()

        self._complete(job, frame.complete_job, reply)

    async def converse(self, _: Any, context: Any) -> None:
        """Serve a console's stream."""
        outbox = Outbox(context.write, hitl_service_pb2.ConverseResponse)
        writer = asyncio.create_task(outbox.run())
        try:
            while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                for frame in message.frames:
                    name = frame.WhichOneof("body")
                    if name == "answer_prompt":
                        self._answer(outbox, frame.ref, frame.answer_prompt)
                    elif name == "hello":
                        self._consoles.update(dict.fromkeys(frame.hello.filter.job_types, outbox))
                        welcome = hitl_service_pb2.ConverseWelcome(session_id=uuid7(), replica="relay")
                        outbox.send(_ServerFrame(ref=frame.ref, welcome=welcome))
        finally:
            writer.cancel()

    def _ask(self, worker: Worker, ref: int, request: worker_service_pb2.AskPromptRequest) -> None:
        """Show a prompt to its console and confirm it to the worker."""
        job = worker.jobs[request.job_id]
        job.rounds += 1
        job.version += 1
        job.state = job_pb2.JOB_STATE_PENDING_HITL
        prompt = prompt_pb2.Prompt(
            prompt_id=uuid7(),
            job_id=request.job_id,
            namespace="default",
            job_type=job.job_type,
            key=request.key,
            round=job.rounds,
            revision=1,
            version=job.version,
            state=prompt_pb2.PROMPT_STATE_PENDING,
            content=request.content,
            requested_by=job.user_id,
            shown_digest=_DIGEST,
        )
        shape, number = questions.parse_key(request.key)
        prompt.content.MergeFromString(questions.put_number(self._additions[shape], number))
        _stamp(prompt.create_time)
        _stamp(prompt.update_time)

        def send() -> None:
            self._asked[prompt.prompt_id] = prompt, worker
            reply = worker_service_pb2.AskPromptResponse(prompt=prompt)
            worker.outbox.send(_Frame(ref=ref, ask_prompt=reply))
            event = hitl_service_pb2.PromptEvent(upserted=hitl_service_pb2.PromptUpserted(prompt=prompt))
            self._consoles[job.job_type].send(_ServerFrame(prompt_event=event))

        self.commit("ask", job, prompt, send)

    def _answer(self, console: Outbox, ref: int, request: hitl_service_pb2.AnswerPromptRequest) -> None:
        """Send the resolution to the worker and the result to the console."""
        prompt, worker = self._asked.pop(request.prompt_id)
        job = worker.jobs[prompt.job_id]
        job.version += 1
        job.state = job_pb2.JOB_STATE_RUNNING
        prompt.version, prompt.submissions = job.version, 1
        prompt.state = prompt_pb2.PROMPT_STATE_ANSWERED
        _stamp(prompt.update_time)
        resolution = prompt.resolution
        resolution.state, resolution.actor = prompt_pb2.PROMPT_STATE_ANSWERED, "anonymous"
        _stamp(resolution.time)
        answer = resolution.answer
        answer.answer_id, answer.decision = request.answer_id, request.decision
        answer.values_json, answer.revision = request.values_json, request.revision
        answer.source, answer.user_id = prompt_pb2.ANSWER_SOURCE_HUMAN, "anonymous"
        _stamp(answer.create_time)

        def send() -> None:
            result = hitl_service_pb2.AnswerResult(
                status=prompt_pb2.ANSWER_STATUS_ACCEPTED, answer_id=request.answer_id, prompt=prompt
            )
            reply = hitl_service_pb2.AnswerPromptResponse(result=result)
            console.send(_ServerFrame(ref=ref, answer_prompt=reply))
            closed = hitl_service_pb2.PromptClosed(
                prompt_id=prompt.prompt_id,
                job_id=prompt.job_id,
                version=prompt.version,
                resolution=resolution,
                answer_id=request.answer_id,
            )
            console.send(_ServerFrame(prompt_event=hitl_service_pb2.PromptEvent(closed=closed)))
            worker.outbox.send(_Frame(prompt_resolved=worker_service_pb2.WorkPromptResolved(prompt=prompt)))

        self.commit("answer", job, prompt, send)


def _run(job: job_pb2.Job, worker_id: str) -> None:
    """Change a job to the state RUNNING."""
    job.state = job_pb2.JOB_STATE_RUNNING
    job.version += 1
    job.attempt = job.token = 1
    job.worker_id = worker_id
    _stamp(job.update_time)


def _additions(shape: questions.Shape) -> bytes:
    """The fields that Askback adds to a content (decisions, derived schema), so that frames are equal."""
    message = prompt_pb2.PromptContent.FromString(shape.content)
    content = normalise(contents.content(message, "content"), Limits(), None)
    whole = prompt_pb2.PromptContent.FromString(contents.content_bytes(content))
    return prompt_pb2.PromptContent(
        decisions=whole.decisions,
        derived_schema_json=whole.derived_schema_json,
        final_action=whole.final_action,
    ).SerializeToString()


def _stamp(target: Any) -> None:
    target.seconds, target.nanos = divmod(time.time_ns(), 1_000_000_000)


def _handlers(relay: Relay) -> tuple[Any, ...]:
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    jobs, workers, people = job_service_pb2, worker_service_pb2, hitl_service_pb2
    methods = (
        ("JobService/CreateJob", unary, relay.create_job, jobs.CreateJobRequest, jobs.CreateJobResponse),
        ("WorkerService/Work", stream, relay.work, workers.WorkRequest, workers.WorkResponse),
        ("WorkerService/LeaseJobs", unary, relay.lease_jobs, workers.LeaseJobsRequest,
         workers.LeaseJobsResponse),
        ("WorkerService/CompleteJob", unary, relay.complete_job, workers.CompleteJobRequest,
         workers.CompleteJobResponse),
        ("HitlService/Converse", stream, relay.converse, people.ConverseRequest, people.ConverseResponse),
    )  # fmt: skip
    services: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for name, kind, handler, request, response in methods:
        service, method = name.split("/")
        services[service][method] = kind(handler, request.FromString, response.SerializeToString)
    return tuple(
        grpc.method_handlers_generic_handler(f"askback.v1.{service}", handlers)
        for service, handlers in services.items()
    )


async def serve(listen: str, relay: Relay) -> None:
    """Serve until cancelled, with Askback's tuning."""
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers(_handlers(relay))
    port = server.add_insecure_port(listen)
    await server.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    print(f"relay serves on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Run the relay until a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0")
    listen = parser.parse_args().listen
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(listen, Relay()))


if __name__ == "__main__":
    main()
