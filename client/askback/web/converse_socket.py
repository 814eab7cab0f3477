"""One WebSocket is one Converse stream: text messages of ProtoJSON in both directions, and nothing else.

Each direction reads the next message only when the other side has taken the one before, so a slow page or a
slow service holds up its own socket and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from contextlib import ExitStack
from typing import Any

import grpc
from grpc.aio import EOF  # type: ignore[attr-defined]
from starlette.websockets import WebSocket, WebSocketDisconnect

from askback._wire.channel import MAX_SEND_BYTES
from askback._wire.stream_writes import StreamEnded, write
from askback.v1 import hitl_service_pb2 as hitl
from askback.web.callers import SUBPROTOCOL, Caller
from askback.web.close_codes import Close, CloseCode, close_for
from askback.web.connect_errors import ConnectError, from_refusal, from_rpc
from askback.web.contract import METHODS
from askback.web.gateway import Gateway
from askback.web.open_streams import REASON
from askback.web.proto_json import BadJson, compact, format_events, parse
from askback.web.rate_limits import Bucket, Rate
from askback.web.refused import Refused
from askback.web.upstream import new_request_id

_log = logging.getLogger("askback.web")
CONVERSE = METHODS["/askback.v1.HitlService/Converse"]
CLOSE_SECONDS = 2.0
"""Seconds that the close of a socket may take here; the server ends its connection later."""
_WITHOUT_REPLY = frozenset({"heartbeat", "credit", "goodbye"})
_REFUSED_OPENLY = frozenset({CloseCode.FORBIDDEN, CloseCode.BAD_MESSAGE, CloseCode.DEFECT})
"""Refusals of a handshake that are no matter of the page: it may be another site's."""


async def converse(gateway: Gateway, socket: WebSocket) -> None:
    """Serve a handshake at /converse, and its socket until it ends."""
    try:
        with gateway.counts.opening(ConverseSocket.kind), ExitStack() as held:
            caller = gateway.callers.of_handshake(socket)
            stream = ConverseSocket(gateway, socket, caller)
            held.enter_context(gateway.pages.opened(caller))
            held.enter_context(gateway.streams.hold(stream))
            await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
            close = await stream.run()
            await _close(socket, close)
    except Refused as refused:
        await _refuse(socket, from_refusal(refused))
    except WebSocketDisconnect:
        pass  # it has gone while it was accepted


async def _refuse(socket: WebSocket, error: ConnectError) -> None:
    """Refuse the handshake. A page cannot see its status: accept it and close it, if the page must act."""
    close = close_for(error)
    if close.code in _REFUSED_OPENLY:
        await socket.send_denial_response(error.response())
        return
    with contextlib.suppress(WebSocketDisconnect):
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
    await _close(socket, close)


async def _close(socket: WebSocket, close: Close | None) -> None:
    """Close the socket; None: its other side has closed it."""
    if close is None:
        return
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await socket.close(close.code, close.reason)


class ConverseSocket:
    """An accepted WebSocket and its stream."""

    kind = "socket"

    def __init__(self, gateway: Gateway, socket: WebSocket, caller: Caller) -> None:
        """Raises Refused."""
        limits = gateway.limits
        self._gateway = gateway
        self._limits = limits
        self._socket = socket
        self._caller = caller
        self._metadata = gateway.upstream.metadata(caller, new_request_id())
        self._bucket = Bucket(Rate(limits.messages_per_second, limits.message_burst), time.monotonic())
        self._unanswered: set[int] = set()
        self._said_goodbye = False
        self._ended: asyncio.Future[Close | None] = asyncio.get_running_loop().create_future()
        self._extra: set[asyncio.Task[bool]] = set()

    @property
    def busy(self) -> bool:
        """Whether the page waits for replies."""
        return bool(self._unanswered)

    def go_away(self, reason: str, after: float) -> None:
        """Ask the page to open another socket within `after` seconds."""
        frame = {"goAway": {"reason": reason, "after": f"{after:.3f}s"}}
        task = asyncio.ensure_future(self._say(compact({"frames": [frame]})))
        self._extra.add(task)
        task.add_done_callback(self._extra.discard)

    def end(self) -> None:
        """Close the socket; the page continues at another gateway."""
        self._finish(Close(CloseCode.AWAY, REASON))

    def _finish(self, close: Close | None) -> None:
        if not self._ended.done():
            self._ended.set_result(close)

    async def run(self) -> Close | None:
        """Forward messages until one side ends. Returns the close to send; None if the page has gone."""
        loop = asyncio.get_running_loop()
        channel = self._gateway.upstream.open()
        call = self._gateway.upstream.dial(channel, CONVERSE, self._metadata)
        tasks = (loop.create_task(self._read(call)), loop.create_task(self._write(call)))
        for task in tasks:
            task.add_done_callback(self._on_task_end)
        expiry: asyncio.TimerHandle | None = None
        if self._caller.expires_at is not None:
            text = "the session has ended; sign in again"
            left = self._caller.expires_at - time.time()
            expiry = loop.call_later(max(0.0, left), self._finish, Close(CloseCode.SIGN_IN, text))
        try:
            return await self._ended
        finally:
            if expiry is not None:
                expiry.cancel()
            for task in tasks:
                task.cancel()
            for notice in self._extra:
                notice.cancel()
            # The service does not withdraw what it was asked to do: the page gets the result elsewhere.
            call.cancel()
            await asyncio.gather(*tasks, *self._extra, return_exceptions=True)
            await self._gateway.upstream.discard(channel)

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a socket failed", exc_info=error)
            self._finish(Close(CloseCode.DEFECT, "something went wrong in the gateway"))

    async def _read(self, call: Any) -> None:
        """Forward the page's messages."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self._finish(None)
                return
            if self._said_goodbye:
                continue
            # More messages than allowed wait, and the page with them.
            if wait := self._bucket.take(time.monotonic()):
                await asyncio.sleep(wait)
                self._bucket.take(time.monotonic())
            try:
                request = self._parse(message.get("text"))
            except BadJson as error:
                self._finish(Close(CloseCode.BAD_MESSAGE, str(error)))
                return
            if request.ByteSize() > MAX_SEND_BYTES:
                self._finish(Close(CloseCode.TOO_LARGE, f"a message has more than {MAX_SEND_BYTES} bytes"))
                return
            self._note(request)
            self._gateway.counts.messages["in"] += 1
            try:
                await write(call, request)
                if self._leaving(request):
                    await call.done_writing()
            except StreamEnded:
                return  # `_write` finds out why

    def _parse(self, text: str | None) -> hitl.ConverseRequest:
        if text is None:
            raise BadJson("a message must be text, not bytes")
        try:
            return parse(text.encode(), hitl.ConverseRequest(), self._limits)
        except UnicodeEncodeError:
            raise BadJson("the text is not UTF-8") from None

    def _note(self, request: hitl.ConverseRequest) -> None:
        """Note which requests wait for replies."""
        for frame in request.frames:
            if frame.ref and frame.WhichOneof("body") not in _WITHOUT_REPLY:
                self._unanswered.add(frame.ref)

    def _leaving(self, request: hitl.ConverseRequest) -> bool:
        """Whether the page says goodbye: a WebSocket cannot be half closed, so the gateway does it."""
        self._said_goodbye = any(frame.WhichOneof("body") == "goodbye" for frame in request.frames)
        return self._said_goodbye

    async def _write(self, call: Any) -> None:
        """Forward the service's messages, and find out how the stream ends."""
        try:
            while (message := await call.read()) is not EOF:
                if not await self._say(format_events(message)):
                    return
                self._unanswered.difference_update(frame.ref for frame in message.frames)
        except grpc.aio.AioRpcError as error:
            self._finish(close_for(from_rpc(error)))
            return
        if self._said_goodbye:
            self._finish(Close(CloseCode.DONE))
        else:
            self._finish(Close(CloseCode.AWAY, "the service has ended this stream; open another one"))

    async def _say(self, text: str) -> bool:
        """Send a message to the page. Returns False if that ends the socket: the page has gone, or does not
        read."""
        try:
            async with asyncio.timeout(self._limits.slow_seconds):
                await self._socket.send_text(text)
        except TimeoutError:
            text = f"the page has not read for {self._limits.slow_seconds:g} s"
            self._finish(Close(CloseCode.NOT_READ, text))
            return False
        except (WebSocketDisconnect, RuntimeError):
            self._finish(None)
            return False
        self._gateway.counts.messages["out"] += 1
        return True
