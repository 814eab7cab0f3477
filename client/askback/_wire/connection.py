"""One bidirectional gRPC stream: one task reads, one task writes, and nothing else uses the call."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import grpc
from grpc.aio import EOF  # type: ignore[attr-defined]

from askback._wire.channel import MAX_BATCH_BYTES, Endpoint
from askback._wire.forking import forget_channel
from askback._wire.status import from_frame, from_rpc
from askback._wire.stream_writes import StreamEnded, write
from askback.errors import AskbackError, Unavailable

_log = logging.getLogger("askback.stream")

OPEN_SECONDS = 20.0
"""Seconds that a server may take from the start of the call to its welcome."""
MAX_SILENCE_SECONDS = 15.0
"""The longest time, in seconds, without a frame in either direction."""
_LATE_SECONDS = 0.5
"""A heartbeat that is late by more than this, in seconds, was delayed by this program's own event loop."""
MAX_MISSED_HEARTBEATS = 3
"""Missed heartbeats after which the peer is considered dead."""


class FrameProtocol(Protocol):
    """The frames of one kind of stream, and its callbacks. `Any` stands for a frame."""

    name: str
    method: str
    """The method's name in errors: `HitlService.Converse`."""
    window: int
    """Maximum number of frames that may wait for their replies."""

    @property
    def session(self) -> object:
        """The server session that the frames belong to; a stream of another session is stale."""

    def dial(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> Any:
        """Start the call."""

    def pack(self, frames: Sequence[Any]) -> Any:
        """Build the message that contains these frames."""

    def hello(self) -> Any:
        """Build the first frame of a connection."""

    def heartbeat(self, *, leaving: bool) -> Any:
        """Build a heartbeat; `leaving`: for a stream that is about to be replaced."""

    def goodbye(self) -> Any:
        """Build the last frame of a graceful end."""

    def on_welcome(self, frame: Any) -> float:
        """Handle the reply to the hello, and return the heartbeat interval in seconds."""

    def on_open(self, put: Callable[[Any], None]) -> None:
        """The stream is in use from now on. Send by `put` the frames that must precede all waiting ones."""

    def on_push(self, frame: Any, *, leaving: bool) -> None:
        """Handle a frame that is not a reply; `leaving`: its stream is about to be replaced."""

    def on_refusal(self, error: AskbackError, session: object) -> bool:
        """A stream of this session ended with `error`. Return True to reconnect even if it is final."""

    def on_disconnect(self, last_sent: float) -> None:
        """The stream has ended; the last frame was sent at the loop time `last_sent`."""


class Connection:
    """One stream, from its call to its end.

    `ended` resolves to None after a graceful end, else to the error. `leave` is set when the server asks
    the client to move to another stream. `opened` is called at the welcome, before the frames behind it
    are handled, which may be in the same message. `replies` is called with every reply to one of our frames.
    """

    def __init__(
        self,
        protocol: FrameProtocol,
        endpoint: Endpoint,
        opened: Callable[[Connection], None],
        replies: Callable[[Connection, Any], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._endpoint = endpoint
        self._replies = replies
        self._opened = opened
        self._outbox: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._half_close = False
        self._welcome: asyncio.Future[None] = loop.create_future()
        self._last_received = loop.time()
        self._pulse: asyncio.TimerHandle | None = None
        self._interval = 0.0
        self._channel: grpc.aio.Channel | None = None
        self._call: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._given_up: AskbackError | None = None
        self.ended: asyncio.Future[AskbackError | None] = loop.create_future()
        self.leave = asyncio.Event()
        self.leave_within = 0.0
        self.session: object = None
        """The protocol's session that this stream serves or has requested."""
        self.last_sent = loop.time()
        """When the last message was written, in loop time."""
        self.in_flight: set[int] = set()

    async def open(self, connect: Callable[[grpc.aio.Channel], Awaitable[None]] | None = None) -> None:
        """Start the call, send the hello and wait for the welcome.

        `connect` is awaited first, to connect the channel. Raises AskbackError and then leaves nothing open.
        """
        self._channel = self._endpoint.open()
        if connect is not None:
            try:
                await connect(self._channel)
            except BaseException:
                await self.abandon()
                raise
        self._call = self._protocol.dial(self._channel, self._endpoint.metadata())
        self.session = self._protocol.session
        self.put(self._protocol.hello())
        self._tasks = [
            asyncio.create_task(self._write(), name=f"askback {self._protocol.name} writer"),
            asyncio.create_task(self._read(), name=f"askback {self._protocol.name} reader"),
        ]
        try:
            await asyncio.wait(
                (self._welcome, self.ended),
                timeout=OPEN_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not self._welcome.done():
                if not self.ended.done():
                    raise Unavailable(f"no welcome from {self._endpoint.address} in {OPEN_SECONDS:g} s")
                raise self.ended.result() or Unavailable("the server closed the stream before its welcome")
        except BaseException:
            await self.abandon()
            raise

    def put(self, frame: Any) -> None:
        """Send a frame, in one message with all other waiting frames."""
        self._outbox.append(frame)
        self._wake.set()

    async def close(self, *, goodbye: bool, grace: float) -> None:
        """Send the waiting frames, half-close, and give the server `grace` seconds to end the stream."""
        if goodbye and not self.ended.done():
            self.put(self._protocol.goodbye())
        self._half_close = True
        self._wake.set()
        try:
            await asyncio.wait((self.ended,), timeout=grace)
        finally:
            await self.abandon()

    async def abandon(self) -> None:
        """End the stream at once and release its resources. May be called repeatedly."""
        if self._pulse is not None:
            self._pulse.cancel()
        if self._call is not None:
            self._call.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A closed channel stays connected, and connects again, for as long as anything refers to its calls.
        self._call = None
        if not self.ended.done():
            self.ended.set_result(None)
        if self._channel is not None:
            channel, self._channel = self._channel, None
            forget_channel(channel)
            await channel.close(None)

    async def _read(self) -> None:
        end: AskbackError | None = None
        try:
            while (message := await self._call.read()) is not EOF:
                self._last_received = asyncio.get_running_loop().time()
                for frame in message.frames:
                    try:
                        self._take(frame)
                    except Exception:
                        _log.exception("%s: a frame could not be handled", self._protocol.name)
        except grpc.aio.AioRpcError as error:
            end = from_rpc(error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The call was cancelled, not this task: by the writer, or after missed heartbeats.
            end = self._given_up or Unavailable("the stream was given up")
        finally:
            if self._pulse is not None:
                self._pulse.cancel()
            if not self.ended.done():
                self.ended.set_result(end)

    def _take(self, frame: Any) -> None:
        body = frame.WhichOneof("body")
        if body == "go_away":
            self.leave_within = frame.go_away.after.ToTimedelta().total_seconds()
            _log.debug("%s: asked to move: %s", self._protocol.name, frame.go_away.reason)
            self.leave.set()
        elif body == "welcome":
            if not self._welcome.done():
                self._interval = self._protocol.on_welcome(frame)
                self.session = self._protocol.session
                self._welcome.set_result(None)
                self._opened(self)
                self._beat()
        elif not self._welcome.done() and body == "error":
            self._give_up(from_frame(frame.error))
        elif frame.ref:
            self._replies(self, frame)
        elif self.session is self._protocol.session:
            self._protocol.on_push(frame, leaving=self.leave.is_set())

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    await write(self._call, self._protocol.pack(self._batch()))
                    self.last_sent = asyncio.get_running_loop().time()
                if self._half_close:
                    await self._call.done_writing()
                    return
        except StreamEnded:
            return  # the reader gets the cause
        except Exception:
            _log.exception("%s: a message could not be built", self._protocol.name)
            self._call.cancel()

    def _batch(self) -> list[Any]:
        batch = [self._outbox.popleft()]
        size = batch[0].ByteSize()
        while self._outbox and size + (more := self._outbox[0].ByteSize()) <= MAX_BATCH_BYTES:
            batch.append(self._outbox.popleft())
            size += more
        return batch

    def _beat(self) -> None:
        """Send a heartbeat, check the peer's, and schedule the next call."""
        loop = asyncio.get_running_loop()
        if self._interval <= 0:
            return
        if self._pulse is not None and (late := loop.time() - self._pulse.when()) > _LATE_SECONDS:
            # This loop was blocked and read nothing meanwhile: do not count that as the server's silence.
            self._last_received += late
        if loop.time() - self._last_received > MAX_MISSED_HEARTBEATS * self._interval:
            self._give_up(Unavailable(f"nothing heard for {MAX_MISSED_HEARTBEATS} heartbeats"))
            return
        if self._pulse is not None and not self._half_close:
            self.put(self._protocol.heartbeat(leaving=self.leave.is_set()))
        # Earlier than the interval, so that a heartbeat that is delayed in the network is still in time; and
        # often enough that no proxy considers the stream idle.
        self._pulse = loop.call_later(min(self._interval * 0.6, MAX_SILENCE_SECONDS), self._beat)

    def _give_up(self, error: AskbackError) -> None:
        self._given_up = error
        self._call.cancel()
