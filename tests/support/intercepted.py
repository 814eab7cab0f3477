"""A small server behind the service's interceptor, with handlers of every kind and style."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health, health_pb2_grpc
from grpc_status import rpc_status

from askback.v1 import job_service_pb2 as jobs
from askback.v1 import job_service_pb2_grpc as jobs_grpc
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain.errors import Draining, InvalidField, JobNotFound, QueueFull
from askback_server.domain.limits import Limits
from askback_server.transport.call_context import CURRENT, current_principal
from askback_server.transport.interceptors import CallInterceptor
from askback_server.transport.tokens import NoAuthentication

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]
ADA = (("askback-user", "ada"), ("askback-groups", "ops, qa"))


class Service(jobs_grpc.JobServiceServicer):
    """Fails, waits or answers as the id in the request asks for."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()

    async def GetJob(self, request: jobs.GetJobRequest, context: Any) -> jobs.GetJobResponse:
        await self._do(request.job_id, context)
        response = jobs.GetJobResponse()
        response.job.user_id = current_principal().subject
        response.job.labels.update(dict.fromkeys(current_principal().groups, ""))
        response.job.request_id = CURRENT.get().request_id
        return response

    async def WatchJob(
        self, request: jobs.WatchJobRequest, context: Any
    ) -> AsyncIterator[jobs.WatchJobResponse]:
        for _ in range(3):
            await asyncio.sleep(0)
            message = jobs.WatchJobResponse()
            message.events.add(actor=current_principal().subject)
            yield message
        await self._do(request.job_id, context)

    async def WatchJobs(  # type: ignore[override]
        self, request: jobs.WatchJobsRequest, context: Any
    ) -> None:
        async def write() -> None:
            for _ in range(3):
                await context.write(jobs.WatchJobsResponse(reset=current_principal().subject))

        await asyncio.create_task(write())
        await self._do(request.resume_token, context)

    async def _do(self, what: str, context: Any) -> None:
        match what:
            case "missing":
                raise JobNotFound("1881")
            case "full":
                raise QueueFull("too much waits")
            case "group":
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._do("missing", context))
            case "bug":
                raise RuntimeError("the password is swordfish")
            case "abort":
                await context.abort(grpc.StatusCode.DATA_LOSS, "gone")
            case "leak":
                raise asyncio.CancelledError
            case "wait":
                self.started.set()
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    self.cancelled.set()
                    raise


async def talk(requests: Any, context: Any) -> None:
    """A stream-stream handler written as a coroutine, like those of the service."""
    while (message := await context.read()) is not EOF:
        if message.frames and message.frames[0].ref == 13:
            raise Draining("going down")
        answer = workers.WorkResponse()
        answer.frames.add(ref=message.frames[0].ref).welcome.replica = current_principal().subject
        await context.write(answer)


async def talk_by_generator(requests: Any, context: Any) -> AsyncIterator[workers.WorkResponse]:
    async for message in requests:
        answer = workers.WorkResponse()
        answer.frames.add(ref=message.frames[0].ref).welcome.replica = current_principal().subject
        yield answer


async def collect(requests: Any, context: Any) -> workers.WorkResponse:
    answer = workers.WorkResponse()
    async for message in requests:
        if message.frames[0].ref == 13:
            raise InvalidField.of("frames", "no 13")
        answer.frames.add(ref=message.frames[0].ref)
    return answer


class InterceptedServer:
    """A running server with the interceptor, and a channel to it."""

    def __init__(
        self,
        server: grpc.aio.Server,
        channel: grpc.aio.Channel,
        service: Service,
        interceptor: CallInterceptor,
    ) -> None:
        self.server = server
        self.stub = jobs_grpc.JobServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)
        self.service = service
        self.interceptor = interceptor
        self.channel = channel

    def stream(self, method: str) -> Any:
        call: Any = self.channel.stream_stream(
            f"/test.Streams/{method}",
            workers.WorkRequest.SerializeToString,
            workers.WorkResponse.FromString,
        )
        return call(metadata=ADA)

    def stream_unary(self, requests: Any) -> Any:
        return self.channel.stream_unary(
            "/test.Streams/Collect", workers.WorkRequest.SerializeToString, workers.WorkResponse.FromString
        )(requests, metadata=ADA)


@asynccontextmanager
async def serving(
    limits: Limits | None = None, level: int = logging.INFO
) -> AsyncIterator[InterceptedServer]:
    interceptor = CallInterceptor(NoAuthentication(), limits or Limits(), unary_level=level)
    server = grpc.aio.server(interceptors=[interceptor])
    service = Service()  # type: ignore[abstract]
    jobs_grpc.add_JobServiceServicer_to_server(service, server)
    checked: Any = health
    health_pb2_grpc.add_HealthServicer_to_server(checked.aio.HealthServicer(), server)
    inward, outward = workers.WorkRequest.FromString, workers.WorkResponse.SerializeToString
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "test.Streams",
                {
                    "Talk": grpc.stream_stream_rpc_method_handler(talk, inward, outward),
                    "Generate": grpc.stream_stream_rpc_method_handler(talk_by_generator, inward, outward),
                    "Collect": grpc.stream_unary_rpc_method_handler(collect, inward, outward),
                },
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield InterceptedServer(server, channel, service, interceptor)
    await server.stop(0)


def frame(ref: int) -> workers.WorkRequest:
    return workers.WorkRequest(frames=[workers.WorkClientFrame(ref=ref)])


def reason_of(error: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    infos = []
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            infos.append(info)
    assert len(infos) == 1
    assert infos[0].domain == "askback.dev"
    return str(infos[0].reason)


async def collect_messages(call: Any) -> list[Any]:
    """All messages of a stream."""
    return [message async for message in call]
