"""The watches as server-sent events, for curl and for proxies that block WebSockets.

    GET /events/prompts     WatchPrompts; in the query its namespace and filter (`event_query.py`)
    GET /events/jobs        WatchJobs; likewise
    GET /events/jobs/ID     WatchJob

Each message of the service is one event: its data is the response as ProtoJSON, its id the newest position. A
client that reconnects sends it back as `Last-Event-ID` and misses nothing. A stream ends by itself after ten
minutes, so that the rights of its reader are checked again. A reader that has the last event of a job then
gets 204, which tells an EventSource not to reconnect.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc.aio import EOF  # type: ignore[attr-defined]
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from askback.web.callers import Caller
from askback.web.connect_errors import ConnectError, from_refusal, from_rpc
from askback.web.contract import Method
from askback.web.event_query import JOB, JOBS, PROMPTS, watch_request
from askback.web.gateway import Gateway
from askback.web.open_streams import REASON
from askback.web.proto_json import compact, format_message
from askback.web.refused import Refused
from askback.web.upstream import REQUEST_ID, new_request_id

FIRST_SECONDS = 1.0
"""Seconds to wait for the first message before the response starts: an error before that has its status."""
RETRY_MILLISECONDS = 2000
"""Pause of a browser before it reconnects."""
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class EventStreams:
    """Handles /events."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def prompts(self, request: Request) -> Response:
        """The twin of WatchPrompts."""
        return await self._respond(request, PROMPTS)

    async def jobs(self, request: Request) -> Response:
        """The twin of WatchJobs."""
        return await self._respond(request, JOBS)

    async def job(self, request: Request) -> Response:
        """The twin of WatchJob."""
        return await self._respond(request, JOB)

    async def _respond(self, request: Request, method: Method) -> Response:
        request_id = new_request_id()
        try:
            with self._gateway.counts.opening(EventStream.kind):
                caller = self._gateway.callers.of_request(request)
                message = watch_request(method, request)
                response = await self._open(method, message, caller, request_id)
        except Refused as refused:
            response = from_refusal(refused).response()
        except ConnectError as error:
            response = error.response()
        except grpc.aio.AioRpcError as error:
            response = from_rpc(error).response()
        response.headers[REQUEST_ID] = request_id
        return response

    async def _open(self, method: Method, message: Message, caller: Caller, request_id: str) -> Response:
        """Start the call, and the response. Raises Refused, AioRpcError."""
        gateway = self._gateway
        async with AsyncExitStack() as stack:
            stream = EventStream(gateway, caller)
            stack.enter_context(gateway.pages.opened(caller))
            stack.enter_context(gateway.streams.hold(stream))
            channel = gateway.upstream.open()
            stack.push_async_callback(gateway.upstream.discard, channel)
            call = gateway.upstream.watch(
                channel, method, message, gateway.upstream.metadata(caller, request_id)
            )
            first = asyncio.ensure_future(call.read())
            stack.callback(first.cancel)
            await asyncio.wait((first,), timeout=FIRST_SECONDS)
            if first.done() and first.result() is EOF and method is JOB:
                # The job has ended and this reader has its last event. An EventSource reconnects after every
                # end of a stream, until it gets this status.
                return Response(None, 204, _HEADERS)
            return _EventResponse(stream.events(call, first), stack.pop_all())


class _EventResponse(StreamingResponse):
    """A response that closes what it needs, whether or not it was sent."""

    def __init__(self, events: AsyncIterator[str], needed: AsyncExitStack) -> None:
        super().__init__(events, headers=_HEADERS, media_type="text/event-stream")
        self._needed = needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._needed:
            await super().__call__(scope, receive, send)


class EventStream:
    """One open event stream."""

    kind = "events"
    busy = False

    def __init__(self, gateway: Gateway, caller: Caller) -> None:
        self._comment_seconds = gateway.limits.event_comment_seconds
        self._age = gateway.limits.event_stream_seconds
        if caller.expires_at is not None:
            self._age = min(self._age, max(0.0, caller.expires_at - time.time()))
        self._ended = asyncio.Event()
        self._reason = ""

    def go_away(self, reason: str, after: float) -> None:
        """End it: its client reconnects by itself, elsewhere."""
        self._reason = reason
        self._ended.set()

    def end(self) -> None:
        """End it."""
        self.go_away(REASON, 0.0)

    async def events(self, call: Any, pending: asyncio.Future[Any]) -> AsyncIterator[str]:
        """The text of the stream. `pending` reads the first message of the call."""
        loop = asyncio.get_running_loop()
        ended = asyncio.ensure_future(self._ended.wait())
        expiry = loop.call_later(self._age, self.go_away, "the stream is old; it goes on in a new one", 0.0)
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        try:
            while not self._ended.is_set():
                await asyncio.wait(
                    (pending, ended), timeout=self._comment_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if ended.done():
                    break
                if not pending.done():
                    yield ": nothing happened\n\n"
                    continue
                message = pending.result()
                if message is EOF:
                    break
                pending = asyncio.ensure_future(call.read())
                yield _event(message)
            yield f": {self._reason or 'the service has ended the stream'}\n\n"
        except grpc.aio.AioRpcError as error:
            yield f"event: error\ndata: {compact(from_rpc(error).body())}\n\n"
        finally:
            expiry.cancel()
            ended.cancel()
            pending.cancel()
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.RpcError):
                await pending


def _event(message: Any) -> str:
    """The event of a message; a comment for an empty one."""
    if not message.ByteSize():
        return ": nothing happened\n\n"
    position = _position(message)
    name = f"id: {position}\n" if position else ""
    return f"{name}data: {format_message(message)}\n\n"


def _position(message: Any) -> str:
    """The newest position in a message; empty if it has none."""
    if hasattr(message, "resume_token"):
        return str(message.resume_token)
    if message.DESCRIPTOR.name == "WatchJobResponse":
        return str(message.events[-1].seq)
    for event in reversed(message.events):
        found = getattr(event, event.WhichOneof("event") or "", None)
        if token := getattr(found, "resume_token", ""):
            return str(token)
    return ""
