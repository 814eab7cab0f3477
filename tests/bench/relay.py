"""The floor: the same frames over bare grpc.aio, relayed in memory without checks or storage.

python -m tests.bench.relay --listen 127.0.0.1:0
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import time
from typing import Any

import grpc

from askback.v1 import hitl_service_pb2, job_pb2, job_service_pb2, prompt_pb2, worker_service_pb2
from askback_server.__main__ import _loop_factory
from askback_server.domain.checks import normalise
from askback_server.domain.limits import Limits
from askback_server.ports.clock import uuid7
from askback_server.transport.convert import contents
from askback_server.transport.server import OPTIONS
from tests.bench import messages
from tests.bench.outbox import Outbox

_Frame = worker_service_pb2.WorkServerFrame
_ServerFrame = hitl_service_pb2.ConverseServerFrame


class Worker:
    """A connected worker and its jobs."""

    def __init__(self, outbox: Outbox, hello: worker_service_pb2.WorkHello) -> None:
        self.outbox = outbox
        self.types = set(hello.job_types)
        self.capacity = hello.capacity
        self.jobs: dict[str, job_pb2.Job] = {}


class Relay:
    """Relays prompts to the console that watches their job type, and answers to the worker that asked."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.waiting: list[job_pb2.Job] = []
        self.consoles: dict[str, Outbox] = {}
        self.asked: dict[str, tuple[prompt_pb2.Prompt, Worker]] = {}
        self.additions = {kind: _additions(kind) for kind in ("clarify", "confirm")}

    async def create_job(self, request: job_service_pb2.CreateJobRequest, _: Any) -> Any:
        """Create a job and lease it at once to a worker with free capacity."""
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
        self.waiting.append(job)
        self.lease_waiting()
        return job_service_pb2.CreateJobResponse(job=job)

    def lease_waiting(self) -> None:
        """Lease waiting jobs to the workers with the most free capacity."""
        still = []
        for job in self.waiting:
            able = [w for w in self.workers if job.job_type in w.types and w.capacity > len(w.jobs)]
            if not able:
                still.append(job)
                continue
            worker = max(able, key=lambda w: w.capacity - len(w.jobs))
            worker.jobs[job.job_id] = job
            leased = worker_service_pb2.LeasedJob(job=job, token=1)
            worker.outbox.send(_Frame(job_leased=worker_service_pb2.WorkJobLeased(leased_job=leased)))
        self.waiting = still

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
                        self.ask(worker, frame.ref, frame.ask_prompt)
                    elif name == "complete_job":
                        assert worker is not None
                        job = worker.jobs.pop(frame.complete_job.job_id)
                        job.state = job_pb2.JOB_STATE_COMPLETED
                        job.result_json = frame.complete_job.result_json
                        _stamp(job.complete_time)
                        reply = worker_service_pb2.CompleteJobResponse(job=job)
                        outbox.send(_Frame(ref=frame.ref, complete_job=reply))
                        self.lease_waiting()
                    elif name == "hello":
                        worker = Worker(outbox, frame.hello)
                        self.workers.append(worker)
                        welcome = worker_service_pb2.WorkWelcome(session_id=uuid7(), replica="relay")
                        outbox.send(_Frame(ref=frame.ref, welcome=welcome))
                        self.lease_waiting()
                    elif name == "capacity":
                        assert worker is not None
                        worker.capacity = frame.capacity.capacity
                        self.lease_waiting()
        finally:
            writer.cancel()
            if worker is not None:
                self.workers.remove(worker)

    async def converse(self, _: Any, context: Any) -> None:
        """Serve a console's stream."""
        outbox = Outbox(context.write, hitl_service_pb2.ConverseResponse)
        writer = asyncio.create_task(outbox.run())
        try:
            while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                for frame in message.frames:
                    name = frame.WhichOneof("body")
                    if name == "answer_prompt":
                        self.answer(outbox, frame.ref, frame.answer_prompt)
                    elif name == "hello":
                        self.consoles.update(dict.fromkeys(frame.hello.filter.job_types, outbox))
                        welcome = hitl_service_pb2.ConverseWelcome(session_id=uuid7(), replica="relay")
                        outbox.send(_ServerFrame(ref=frame.ref, welcome=welcome))
        finally:
            writer.cancel()

    def ask(self, worker: Worker, ref: int, request: worker_service_pb2.AskPromptRequest) -> None:
        """Show a prompt to its console and confirm it to the worker."""
        job = worker.jobs[request.job_id]
        job.rounds += 1
        job.version += 1
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
        )
        prompt.content.MergeFrom(self.additions[request.content.kind])
        _stamp(prompt.create_time)
        _stamp(prompt.update_time)
        self.asked[prompt.prompt_id] = prompt, worker
        reply = worker_service_pb2.AskPromptResponse(prompt=prompt)
        worker.outbox.send(_Frame(ref=ref, ask_prompt=reply))
        event = hitl_service_pb2.PromptEvent(upserted=hitl_service_pb2.PromptUpserted(prompt=prompt))
        self.consoles[job.job_type].send(_ServerFrame(prompt_event=event))

    def answer(self, console: Outbox, ref: int, request: hitl_service_pb2.AnswerPromptRequest) -> None:
        """Send the resolution to the worker and the result to the console."""
        prompt, worker = self.asked.pop(request.prompt_id)
        job = worker.jobs[prompt.job_id]
        job.version += 1
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


def _additions(kind: str) -> prompt_pb2.PromptContent:
    """The fields that Askback adds to a content (decisions, derived schema), so that frames are equal."""
    message = messages.content("form" if kind == "clarify" else "plain")
    content = normalise(contents.content(message, "content"), Limits(), None)
    whole = prompt_pb2.PromptContent.FromString(contents.content_bytes(content))
    return prompt_pb2.PromptContent(
        decisions=whole.decisions,
        derived_schema_json=whole.derived_schema_json,
        final_action=whole.final_action,
    )


def _stamp(target: Any) -> None:
    target.seconds, target.nanos = divmod(time.time_ns(), 1_000_000_000)


def _handlers(relay: Relay) -> tuple[Any, ...]:
    def message(service: str, method: str, handler: Any) -> Any:
        return grpc.method_handlers_generic_handler(service, {method: handler})

    return (
        message(
            "askback.v1.JobService",
            "CreateJob",
            grpc.unary_unary_rpc_method_handler(
                relay.create_job,
                job_service_pb2.CreateJobRequest.FromString,
                job_service_pb2.CreateJobResponse.SerializeToString,
            ),
        ),
        message(
            "askback.v1.WorkerService",
            "Work",
            grpc.stream_stream_rpc_method_handler(
                relay.work,
                worker_service_pb2.WorkRequest.FromString,
                worker_service_pb2.WorkResponse.SerializeToString,
            ),
        ),
        message(
            "askback.v1.HitlService",
            "Converse",
            grpc.stream_stream_rpc_method_handler(
                relay.converse,
                hitl_service_pb2.ConverseRequest.FromString,
                hitl_service_pb2.ConverseResponse.SerializeToString,
            ),
        ),
    )


async def serve(listen: str) -> None:
    """Serve until cancelled, with Askback's tuning."""
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers(_handlers(Relay()))
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
        runner.run(serve(listen))


if __name__ == "__main__":
    main()
