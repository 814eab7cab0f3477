"""The floor of consoles: every prompt goes to every console over bare grpc.aio, without a database.

Each prompt is serialised once, and what waits for a console is one message. Workers are welcomed only.
python -m tests.bench.fanout
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import Any

import grpc

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2, worker_service_pb2
from askback_server.__main__ import _loop_factory
from askback_server.ports.clock import uuid7
from askback_server.transport.server import OPTIONS
from tests.bench.outbox import Outbox


def _join(frames: list[bytes]) -> bytes:
    """One message of several: the frames of protobuf messages that follow one another are one list."""
    return b"".join(frames)


def _message(**body: Any) -> bytes:
    return hitl.ConverseResponse(frames=[hitl.ConverseServerFrame(**body)]).SerializeToString()


class Fanout:
    """The connected consoles."""

    def __init__(self) -> None:
        self._consoles: set[Outbox] = set()

    async def create_job(self, request: jobs.CreateJobRequest, _: Any) -> Any:
        """Send the prompt of the job to all consoles."""
        prompt = prompt_pb2.Prompt(
            prompt_id=uuid7(), job_id=uuid7(), namespace="default", content=request.prompt, version=1
        )
        prompt.create_time.GetCurrentTime()
        prompt.update_time.GetCurrentTime()
        event = hitl.PromptEvent(upserted=hitl.PromptUpserted(prompt=prompt))
        message = _message(prompt_event=event)
        for console in self._consoles:
            console.send(message)
        return jobs.CreateJobResponse(prompt=prompt)

    async def converse(self, _: Any, context: Any) -> None:
        """Serve a console: welcome it, with no open prompts."""
        outbox = Outbox(context.write, _join)
        writer = asyncio.create_task(outbox.run())
        try:
            while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                for frame in message.frames:
                    welcome = hitl.ConverseWelcome(session_id=uuid7(), replica="fanout")
                    outbox.send(_message(ref=frame.ref, welcome=welcome))
                    caught_up = hitl.PromptsCaughtUp(resume_token="")
                    outbox.send(_message(prompt_event=hitl.PromptEvent(caught_up=caught_up)))
                    self._consoles.add(outbox)
        finally:
            writer.cancel()
            self._consoles.discard(outbox)

    async def work(self, _: Any, context: Any) -> None:
        """Serve a worker: welcome it."""
        while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            for frame in message.frames:
                welcome = worker_service_pb2.WorkWelcome(session_id=uuid7(), replica="fanout")
                reply = worker_service_pb2.WorkServerFrame(ref=frame.ref, welcome=welcome)
                await context.write(worker_service_pb2.WorkResponse(frames=[reply]))


def _handlers(fanout: Fanout) -> tuple[Any, ...]:
    def method(service: str, name: str, handler: Any) -> Any:
        return grpc.method_handlers_generic_handler(f"askback.v1.{service}", {name: handler})

    create = grpc.unary_unary_rpc_method_handler(
        fanout.create_job, jobs.CreateJobRequest.FromString, jobs.CreateJobResponse.SerializeToString
    )
    converse = grpc.stream_stream_rpc_method_handler(fanout.converse, hitl.ConverseRequest.FromString)
    work = grpc.stream_stream_rpc_method_handler(
        fanout.work,
        worker_service_pb2.WorkRequest.FromString,
        worker_service_pb2.WorkResponse.SerializeToString,
    )
    return (
        method("JobService", "CreateJob", create),
        method("HitlService", "Converse", converse),
        method("WorkerService", "Work", work),
    )


async def serve() -> None:
    """Serve until cancelled, with Askback's tuning."""
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers(_handlers(Fanout()))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    print(f"fanout serves on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Run until a signal."""
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
