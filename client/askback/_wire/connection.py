"""One physical stream: one task reads, one task writes, and nothing else touches the call."""

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
from askback.errors import AskbackError, Unavailable

_log = logging.getLogger("askback.stream")

OPEN_TIMEOUT = 20.0
"""How long a server may take from the dial to its welcome, in seconds."""
SILENCE = 15.0
"""A stream sends a frame after so many seconds at the latest, in both directions."""
_PUNCTUAL = 0.5
"""A heartbeat that is this much later than planned, in seconds, was held up by the program itself."""
MISSED = 3
"""After so many missed heartbeats the peer is taken for dead."""


class Wire(Protocol):
    """What differs between the streams: their frames, and who wants to know. `Any` is a frame."""

    name: str
    method: str
    """As errors call it: `HitlService.Converse`."""
    window: int
    """How many frames may wait for their replies."""

    @property
    def session(self) -> object:
        """What the frames of a stream belong to; a stream of another session is stale."""

    def dial(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> Any:
        """Start the call."""

    def pack(self, frames: Sequence[Any]) -> Any:
        """The message that holds these frames."""

    def hello(self) -> Any:
        """The first frame, built for each connection."""

    def heartbeat(self, *, leaving: bool) -> Any:
        """A sign of life; `leaving`: on a stream that is being left."""

    def goodbye(self) -> Any:
        """The orderly end."""

    def welcomed(self, frame: Any) -> float:
        """Take the reply to the hello; returns the heartbeat interval in seconds."""

    def opened(self, put: Callable[[Any], None]) -> None:
        """The stream is the one in use now: `put` what must be said before all that waits."""

    def pushed(self, frame: Any, *, leaving: bool) -> None:
        """Take a frame that replies to nothing; `leaving`: from a stream that is being left."""

    def refused(self, error: AskbackError, session: object) -> bool:
        """A stream of this session ended like this: whether it makes sense to dial again all the same."""

    def lost(self, spoken: float) -> None:
        """There is no stream now; the last frame was sent at the loop time `spoken`."""


class Connection:
    """One stream, from dial to end.

    `ended` has its end: None for an orderly one, else the error. `leave` is set when the server asks
    the client to move. `replies` takes every frame that replies to one of ours.
    """

    def __init__(self, wire: Wire, endpoint: Endpoint, replies: Callable[[Connection, Any], None]) -> None:
        loop = asyncio.get_running_loop()
        self._wire = wire
        self._endpoint = endpoint
        self._replies = replies
        self._outbox: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._half_close = False
        self._welcome: asyncio.Future[None] = loop.create_future()
        self._heard = loop.time()
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
        """The wire's session that this stream serves, or asked for."""
        self.spoken = loop.time()
        """When the last message was written, in loop time."""
        self.in_flight: set[int] = set()

    async def open(self, connect: Callable[[grpc.aio.Channel], Awaitable[None]] | None = None) -> None:
        """Dial, say hello and wait for the welcome. Raises AskbackError, and then leaves nothing open.

        `connect` is awaited before, for the channel's connection.
        """
        self._channel = self._endpoint.open()
        if connect is not None:
            try:
                await connect(self._channel)
            except BaseException:
                await self.abandon()
                raise
        self._call = self._wire.dial(self._channel, self._endpoint.metadata())
        self.session = self._wire.session
        self.put(self._wire.hello())
        self._tasks = [
            asyncio.create_task(self._write(), name=f"askback {self._wire.name} writer"),
            asyncio.create_task(self._read(), name=f"askback {self._wire.name} reader"),
        ]
        try:
            await asyncio.wait(
                (self._welcome, self.ended),
                timeout=OPEN_TIMEOUT,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not self._welcome.done():
                if not self.ended.done():
                    raise Unavailable(f"no welcome from {self._endpoint.shown} in {OPEN_TIMEOUT:g} s")
                raise self.ended.result() or Unavailable("the server closed the stream before its welcome")
        except BaseException:
            await self.abandon()
            raise

    def put(self, frame: Any) -> None:
        """Send a frame: with everything else that waits, as one message."""
        self._outbox.append(frame)
        self._wake.set()

    async def close(self, *, goodbye: bool, grace: float) -> None:
        """Send what waits, half-close, and leave the server `grace` seconds to end the stream."""
        if goodbye and not self.ended.done():
            self.put(self._wire.goodbye())
        self._half_close = True
        self._wake.set()
        try:
            await asyncio.wait((self.ended,), timeout=grace)
        finally:
            await self.abandon()

    async def abandon(self) -> None:
        """End the stream now and give everything back. Repeatable."""
        if self._pulse is not None:
            self._pulse.cancel()
        if self._call is not None:
            self._call.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
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
                self._heard = asyncio.get_running_loop().time()
                for frame in message.frames:
                    try:
                        self._take(frame)
                    except Exception:
                        _log.exception("%s: a frame could not be handled", self._wire.name)
        except grpc.aio.AioRpcError as error:
            end = from_rpc(error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The call was cancelled under the reader: by the writer, or by the missing heartbeats.
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
            _log.debug("%s: asked to move: %s", self._wire.name, frame.go_away.reason)
            self.leave.set()
        elif body == "welcome":
            if not self._welcome.done():
                self._interval = self._wire.welcomed(frame)
                self.session = self._wire.session
                self._welcome.set_result(None)
                self._beat()
        elif not self._welcome.done() and body == "error":
            self._give_up(from_frame(frame.error))
        elif frame.ref:
            self._replies(self, frame)
        elif self.session is self._wire.session:
            self._wire.pushed(frame, leaving=self.leave.is_set())

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    await self._call.write(self._wire.pack(self._batch()))
                    self.spoken = asyncio.get_running_loop().time()
                if self._half_close:
                    await self._call.done_writing()
                    return
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # grpc raises several classes here, private ones among them; the reader learns the cause.
            _log.debug("%s: cannot write: %s", self._wire.name, error)
            self._call.cancel()

    def _batch(self) -> list[Any]:
        batch = [self._outbox.popleft()]
        size = batch[0].ByteSize()
        while self._outbox and size + (more := self._outbox[0].ByteSize()) <= MAX_BATCH_BYTES:
            batch.append(self._outbox.popleft())
            size += more
        return batch

    def _beat(self) -> None:
        """Send a heartbeat, look for the peer's, and come again."""
        loop = asyncio.get_running_loop()
        if self._interval <= 0:
            return
        if self._pulse is not None and (late := loop.time() - self._pulse.when()) > _PUNCTUAL:
            # While this loop was blocked nothing was read: that is not the server's silence.
            self._heard += late
        if loop.time() - self._heard > MISSED * self._interval:
            self._give_up(Unavailable(f"nothing heard for {MISSED} heartbeats"))
            return
        if self._pulse is not None and not self._half_close:
            self.put(self._wire.heartbeat(leaving=self.leave.is_set()))
        # Earlier than the interval: a heartbeat that is late by the way must still be in time. And never
        # so rarely that a proxy takes the stream for idle.
        self._pulse = loop.call_later(min(self._interval * 0.6, SILENCE), self._beat)

    def _give_up(self, error: AskbackError) -> None:
        self._given_up = error
        self._call.cancel()
