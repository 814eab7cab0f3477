"""Drives the core of a stream: runs its calls and background tasks, and waits for its next frames. Without
gRPC."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from askback_server.domain.errors import AskbackError, Draining, NoHello
from askback_server.domain.limits import Limits
from askback_server.ports.clock import Clock
from askback_server.sessions.access import Access
from askback_server.sessions.frames import Call, ClientFrame, Message, Response, ServerFrame
from askback_server.sessions.live_view import ViewDeps
from askback_server.sessions.memory_budget import MemoryBudget
from askback_server.sessions.small_event import SmallEvent
from askback_server.sessions.stream_core import StreamCore

MAX_FRAMES = 256
"""Maximum number of frames taken at once."""


class Handler(Protocol):
    """Performs the calls of a stream, as their unary twins do (`HitlCalls`, `WorkerCalls`)."""

    def __call__(self, name: str, request: Message, /) -> Awaitable[Response]:
        """Start a call by the name of its frame.

        A command is queued before this returns, and a future is returned; a read is a coroutine that has not
        started yet. Raises AskbackError if the call is refused at once.
        """


class ErrorMapper(Protocol):
    """Turns any exception into the error that the caller gets: a bug fails one frame, not the stream."""

    def __call__(self, error: BaseException, /) -> AskbackError: ...  # noqa: D102


class OnEnd(Protocol):
    """Called when a call has ended, with the error if it failed."""

    def __call__(self, error: AskbackError | None, /) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Read:
    """A call that reads and waits for its turn."""

    ref: int
    name: str
    work: Coroutine[Any, Any, Response]
    size: int
    """Of the request, in bytes."""
    on_end: OnEnd | None


def _reject_closed(name: str, _: Message) -> Awaitable[Response]:
    raise Draining(f"the stream of this {name} has ended")


class StreamDeps(ViewDeps, Protocol):
    """What sessions need from the replica. Times in seconds."""

    clock: Clock
    limits: Limits
    replica: str
    heartbeat: float
    max_message_bytes: int
    test_mode: bool
    unsent: MemoryBudget
    writing: MemoryBudget
    received: MemoryBudget


class StreamSession(ABC):
    """One stream.

    The transport calls `receive` for each frame, writes what `next_frames` returns, and calls `close` at the
    end.
    """

    def __init__(
        self,
        stream: StreamCore,
        deps: StreamDeps,
        access: Access,
        handler: Handler,
        to_caller_error: ErrorMapper,
    ) -> None:
        self._stream = stream
        self._limits = deps.limits
        subject, drop = access.principal.subject, self.drop
        self._account = deps.unsent.account(subject, drop)
        self.writing = deps.writing.account(subject, drop)
        """Memory of the messages that the transport is writing."""
        self.received = deps.received.account(subject, drop)
        """Memory of the message whose frames are being processed."""
        self._reads_in_all = deps.admission.reads
        self._clock = deps.clock
        self.access = access
        self._handler = handler
        self._to_caller_error = to_caller_error
        self._timer: asyncio.TimerHandle | None = None
        self._changed = SmallEvent()
        self._tasks: set[asyncio.Task[None] | asyncio.Future[Response]] = set()
        self._reads: list[_Read] = []
        """Reads run one after the other."""
        self._reading = False
        self._request_bytes = 0
        self._room = SmallEvent()
        self._room.set()
        self._failure: BaseException | None = None
        self._ended = self._closed = False

    @abstractmethod
    def receive(self, frame: ClientFrame) -> None:
        """Take a frame. Raises BadHello, InvalidField, which end the stream."""

    @abstractmethod
    def _take(self) -> list[ServerFrame]:
        """Take the next frames, including a heartbeat if one is due."""

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
        self._changed.set()

    def _call(self, ref: int, call: Call, on_end: OnEnd | None = None) -> None:
        """Start a call; its reply is sent as soon as it is available.

        A command needs no task: only the engine's future waits. The reply of a read can have any size, so
        reads run one at a time, and only while there is room for a reply.
        """
        size = call.request.ByteSize()
        try:
            started = self._handler(call.name, call.request)
        except Exception as error:
            self._refuse_call(ref, error, on_end)
            return
        self._request_bytes += size
        if asyncio.iscoroutine(started):
            self._reads.append(_Read(ref, call.name, started, size, on_end))
            if not self._reading:
                self._reading = True
                self._spawn(self._run_reads())
        else:
            reply = asyncio.ensure_future(started)
            self._tasks.add(reply)
            reply.add_done_callback(partial(self._on_reply, ref, call.name, size, on_end))
        self._update_account()

    async def _run_reads(self) -> None:
        try:
            while self._reads:
                while self._stream.unsent[1] >= self._limits.unsent_bytes:
                    self._room.clear()
                    await self._room.wait()
                slot = self._reads_in_all.slot(self._account.subject)
                async with self._account.room(self._limits.page_bytes), slot:
                    read = self._reads.pop(0)
                    reply = asyncio.ensure_future(read.work)
                    self._tasks.add(reply)
                    try:
                        await asyncio.wait((reply,))
                    finally:
                        if reply.done():
                            self._on_reply(read.ref, read.name, read.size, read.on_end, reply)
                        else:
                            reply.cancel()
        finally:
            self._reading = False

    @property
    def is_full(self) -> bool:
        """Whether so much is queued for the client, or from it, that no more is read from it."""
        frames, size = self._stream.unsent
        limits = self._limits
        return (
            frames >= limits.unsent_frames
            or size >= limits.unsent_bytes
            or self._request_bytes >= limits.unsent_bytes
            or self._account.is_over
        )

    async def wait_for_room(self) -> None:
        """Wait until more may be read from the client."""
        while self.is_full and not self._closed:
            self._room.clear()
            await self._room.wait()

    def _update_account(self) -> None:
        """Report the memory used by this stream, and wake those that wait for room."""
        if not self._closed:
            self._account.set(self._stream.unsent[1] + self._request_bytes)
        self._room.set()

    def drop(self, error: AskbackError) -> None:
        """End the stream at once, even while a write waits for a client that does not read."""
        self.fail(error)
        self.access.end(error)

    def _on_reply(
        self, ref: int, name: str, size: int, on_end: OnEnd | None, reply: asyncio.Future[Response]
    ) -> None:
        self._tasks.discard(reply)
        self._request_bytes -= size
        if reply.cancelled():
            return
        error = reply.exception()
        if error is not None:
            self._refuse_call(ref, error, on_end)
            return
        self._stream.reply(ref, name, reply.result())
        if on_end is not None:
            on_end(None)
        self._update_account()
        self._changed.set()

    def _refuse_call(self, ref: int, error: BaseException, on_end: OnEnd | None) -> None:
        refusal = self._to_caller_error(error)
        self._stream.fail_call(ref, refusal)
        if on_end is not None:
            on_end(refusal)
        self._changed.set()

    def go_away(self, reason: str, after: float) -> None:
        """Ask the client to reconnect within `after` seconds."""
        self._stream.go_away(reason, after)
        self._changed.set()

    @property
    def busy(self) -> bool:
        """Whether the client waits for replies, or for frames that are queued."""
        return self._stream.in_flight > 0 or self._stream.has_frames

    def dismiss(self) -> None:
        """End the stream; its stored state remains, and the client continues elsewhere."""
        self.fail(Draining("the server wants this stream to move; open another one and go on there"))

    def refuse(self, ref: int, error: AskbackError) -> bool:
        """Refuse a malformed frame. Returns False if that must end the stream: before the hello."""
        if self._stream.hello is None:
            return False
        self._stream.refuse(ref, error)
        self._changed.set()
        return True

    def fail(self, error: BaseException | None) -> None:
        """End the stream with an error; None only wakes the writer."""
        if error is not None:
            self._failure = self._failure or error
        self._changed.set()

    def expect_hello(self, seconds: float) -> None:
        """End the stream if no message has arrived in time. One that waits for its turn is not late."""
        if self._stream.hello is None and not self.received.used:
            self.fail(NoHello(seconds))

    def end(self) -> None:
        """The client sends no more frames."""
        self._ended = True
        self._changed.set()

    async def next_frames(self) -> list[ServerFrame]:
        """Wait for frames to write. An empty list: the stream has ended. Raises the error that ended it.

        After a goodbye or half-close, running calls are still replied to.
        """
        while True:
            self._changed.clear()
            self._stream.note_written()
            frames = self._take()
            self._update_account()
            if frames:
                return frames
            if self._failure is not None:
                raise self._failure
            if self._ended and not self._stream.in_flight:
                return []
            self._arm()
            await self._changed.wait()

    def _arm(self) -> None:
        """Set the timer for the next heartbeat: one timer per heartbeat, however often frames are sent."""
        seconds_to_beat = self._stream.seconds_to_beat(self._clock.monotonic())
        if self._timer is None and seconds_to_beat is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds_to_beat + 0.001, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._changed.set()

    def close(self) -> None:
        """Release everything. Calls already submitted to the engine are not withdrawn."""
        self._ended = self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        for read in self._reads:
            read.work.close()
        self._reads.clear()
        self._account.close()
        self.writing.close()
        self.received.close()
        self._room.set()
        # Break reference cycles: full garbage collections are rare, and a session may hold much memory.
        self._failure = None  # its traceback refers to this session
        self._handler = _reject_closed
