"""A gRPC server on loopback without logic: the test plays the server's side of every stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import policy_service_pb2 as policies
from askback.v1 import worker_service_pb2 as work

_END = object()


class FakeStream:
    """The server's side of one stream."""

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any], frame: Any, message: Any) -> None:
        self.context = context
        self._frame = frame
        self._message = message
        self._in: asyncio.Queue[Any] = asyncio.Queue()
        self._out: asyncio.Queue[Any] = asyncio.Queue()
        self.metadata = dict(context.invocation_metadata() or ())
        self.messages: list[Any] = []
        self.half_closed = asyncio.Event()
        self.closed = asyncio.Event()

    async def next(self, *bodies: str) -> Any:
        """The next frame with one of these bodies (by default: any except a heartbeat)."""
        while True:
            frame = await asyncio.wait_for(self._in.get(), 5)
            body = frame.WhichOneof("body")
            if body in bodies or (not bodies and body != "heartbeat"):
                return frame

    async def frames_within(self, seconds: float = 0.1) -> list[Any]:
        """The frames that arrive within `seconds`, without heartbeats."""
        await asyncio.sleep(seconds)
        frames = [self._in.get_nowait() for _ in range(self._in.qsize())]
        return [frame for frame in frames if frame.WhichOneof("body") != "heartbeat"]

    def send(self, ref: int = 0, **body: Any) -> None:
        """Send one frame."""
        self.send_all((ref, body))

    def send_all(self, *frames: tuple[int, dict[str, Any]]) -> None:
        """Send several frames in one message."""
        self._out.put_nowait(self._message(frames=[self._frame(ref=ref, **body) for ref, body in frames]))

    def end(self, code: grpc.StatusCode | None = None, details: str = "") -> None:
        """End the stream, with OK or with the given status."""
        self._out.put_nowait((_END, code, details))

    async def serve(self) -> None:
        """Handle the call: a second task reads, this one writes."""
        reader = asyncio.create_task(self._read())
        try:
            while True:
                item = await self._out.get()
                if isinstance(item, tuple):
                    if item[1] is not None:
                        await self.context.abort(item[1], item[2])
                    return
                await self.context.write(item)
        finally:
            reader.cancel()
            self.closed.set()

    async def _read(self) -> None:
        while (message := await self.context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            self.messages.append(message)
            for frame in message.frames:
                self._in.put_nowait(frame)
        self.half_closed.set()


class _Streams:
    def __init__(self, frame: Any, message: Any) -> None:
        self._frame = frame
        self._message = message
        self.opened: asyncio.Queue[FakeStream] = asyncio.Queue()

    async def handle(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        stream = FakeStream(context, self._frame, self._message)
        self.opened.put_nowait(stream)
        await stream.serve()


Unary = Callable[[Any, Any], Awaitable[Any]]
_FILES = {"WorkerService": work, "HitlService": hitl, "JobService": jobs, "PolicyService": policies}


class _Methods(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Looks a method up on every call, so that a test may replace it at any time."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        service, _, name = handler_call_details.method.strip("/").rpartition("/")
        service = service.rpartition(".")[2]
        if service not in _FILES:
            return None  # no health service: the client treats the server as healthy
        method = _FILES[service].DESCRIPTOR.services_by_name[service].methods_by_name[name]
        codec = {
            "request_deserializer": GetMessageClass(method.input_type).FromString,
            "response_serializer": lambda message: message.SerializeToString(),
        }
        if name in ("Work", "Converse"):
            streams = self._server.work_streams if name == "Work" else self._server.converse_streams

            async def handle(request_iterator: Any, context: Any) -> None:
                await streams.handle(context)

            return grpc.stream_stream_rpc_method_handler(handle, **codec)
        if name in self._server.streams:
            stream = self._server.streams[name]

            async def follow(request: Any, context: Any) -> AsyncIterator[Any]:
                async for message in stream(request, context):
                    yield message

            return grpc.unary_stream_rpc_method_handler(follow, **codec)
        if name in self._server.unary:
            return grpc.unary_unary_rpc_method_handler(self._server.unary[name], **codec)
        return None


class FakeServer:
    """Askback's services. `work()` and `converse()` return the streams that clients open; the test registers
    other methods by name in `unary` and `streams`."""

    def __init__(self) -> None:
        self.unary: dict[str, Unary] = {}
        self.streams: dict[str, Callable[[Any, Any], AsyncIterator[Any]]] = {}
        self.work_streams = _Streams(work.WorkServerFrame, work.WorkResponse)
        self.converse_streams = _Streams(hitl.ConverseServerFrame, hitl.ConverseResponse)
        self._server: grpc.aio.Server | None = None
        self.port = 0

    @property
    def target(self) -> str:
        """The server's address."""
        return f"127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen, on the given port or on any free one."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_Methods(self),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        await self._server.start()

    async def stop(self) -> None:
        """Stop immediately and cancel all calls."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def work(self) -> FakeStream:
        """The next Work stream that a client opens."""
        return await asyncio.wait_for(self.work_streams.opened.get(), 5)

    async def converse(self) -> FakeStream:
        """The next Converse stream that a client opens."""
        return await asyncio.wait_for(self.converse_streams.opened.get(), 5)

    async def welcome_console(self) -> FakeStream:
        """The next Converse stream, after its hello and a welcome."""
        stream = await self.converse()
        stream.send((await stream.next("hello")).ref, **converse_welcome())
        return stream

    async def no_stream(self, seconds: float = 0.2) -> bool:
        """Whether no client opens a stream within `seconds`."""
        await asyncio.sleep(seconds)
        return self.work_streams.opened.empty() and self.converse_streams.opened.empty()


def span(seconds: float) -> Duration:
    """A duration."""
    result = Duration()
    result.FromMilliseconds(int(seconds * 1000))
    return result


def work_welcome(session: str = "s1", *, resumed: bool = False, **more: Any) -> dict[str, Any]:
    """The body of the welcome for a worker."""
    more.setdefault("heartbeat_interval", span(5))
    return {"welcome": work.WorkWelcome(session_id=session, session_secret="secret", resumed=resumed, **more)}


async def get_job(request: Any, context: Any) -> jobs.GetJobResponse:
    """A reply to every GetJob, with the job `j`: `server.unary["GetJob"] = get_job`."""
    return jobs.GetJobResponse(job=job_pb2.Job(job_id="j"))


def converse_welcome(**more: Any) -> dict[str, Any]:
    """The body of the welcome for a console."""
    more.setdefault("heartbeat_interval", span(5))
    return {"welcome": hitl.ConverseWelcome(session_id="c1", max_in_flight=64, **more)}
