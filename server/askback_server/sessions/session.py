"""What drives any stream's core: its tasks, its calls, the wait for the next frames. Knows no gRPC."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from askback_server.domain.errors import AskbackError, Draining
from askback_server.domain.limits import Limits
from askback_server.engine.attendance import Attending
from askback_server.feed.feed import Feed
from askback_server.feed.tokens import ResumeTokens
from askback_server.ports.clock import Clock
from askback_server.ports.storage import FeedStore, JobStore
from askback_server.sessions.frames import Call, ClientFrame, ServerFrame
from askback_server.sessions.stream_core import StreamCore

TAKE = 256
"""Frames in one message at the most."""

Handler = Callable[[str, Any], Awaitable[Any]]
"""Begins a unary twin by its name. Raises what refuses it at once; the awaitable has the rest."""
Shown = Callable[[BaseException], AskbackError]
"""What a caller is told of an error: a bug ends a frame, not the stream."""
Ended = Callable[[AskbackError | None], None]
"""Told how a call ended."""


class Surroundings(Protocol):
    """What sessions need of the replica. Times in seconds."""

    feed: Feed
    log: FeedStore
    jobs: JobStore
    tokens: ResumeTokens
    clock: Clock
    limits: Limits
    replica: str
    heartbeat: float
    max_message_bytes: int
    test_mode: bool
    attending: Attending


class Session(ABC):
    """One stream. The transport calls `receive` for each frame, writes what `next_frames` gives,
    and calls `close` at the end."""

    def __init__(self, stream: StreamCore, clock: Clock, handler: Handler, shown: Shown) -> None:
        self._stream = stream
        self._clock = clock
        self._handler = handler
        self._shown = shown
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._failure: BaseException | None = None
        self._ended = False
        self._closed = False

    @abstractmethod
    def receive(self, frame: ClientFrame) -> None:
        """Take a frame. Raises BadHello, InvalidField, which end the stream."""

    @abstractmethod
    def _take(self) -> list[ServerFrame]:
        """The next frames, a heartbeat included if one is due."""

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
        self._changed.set()

    def _call(self, ref: int, call: Call, ended: Ended | None = None) -> None:
        """Begin a call; its reply goes into the stream as soon as it is there.

        No task is made for a command: the engine's own future is all that waits.
        """
        try:
            reply = asyncio.ensure_future(self._handler(call.name, call.request))
        except Exception as error:
            self._refused(ref, error, ended)
        else:
            self._tasks.add(reply)
            reply.add_done_callback(partial(self._replied, ref, call.name, ended))

    def _replied(self, ref: int, name: str, ended: Ended | None, reply: asyncio.Future[Any]) -> None:
        self._tasks.discard(reply)
        if reply.cancelled():
            return
        error = reply.exception()
        if error is not None:
            self._refused(ref, error, ended)
            return
        self._stream.replied(ref, name, reply.result())
        if ended is not None:
            ended(None)
        self._changed.set()

    def _refused(self, ref: int, error: BaseException, ended: Ended | None) -> None:
        shown = self._shown(error)
        self._stream.failed(ref, shown)
        if ended is not None:
            ended(shown)
        self._changed.set()

    def go_away(self, reason: str, after: float) -> None:
        """Ask the client to move to another stream."""
        self._stream.go_away(reason, after)
        self._changed.set()

    @property
    def busy(self) -> bool:
        """Whether the client waits for replies, or has not been sent what there is for it."""
        return self._stream.in_flight > 0 or self._stream.has_frames

    def dismiss(self) -> None:
        """End the stream from here; what is kept for it stays, and its client goes on elsewhere."""
        self.fail(Draining("this replica is shutting down; go on at another"))

    def refuse(self, ref: int, error: AskbackError) -> bool:
        """A frame was wrong in itself. Returns False if that ends the stream: before the hello."""
        if self._stream.hello is None:
            return False
        self._stream.refuse(ref, error)
        self._changed.set()
        return True

    def fail(self, error: BaseException | None) -> None:
        """The reader ended; with an error if it was in disorder."""
        if error is not None:
            self._failure = self._failure or error
        self._changed.set()

    def end(self) -> None:
        """No more frames will come."""
        self._ended = True
        self._changed.set()

    async def next_frames(self) -> list[ServerFrame]:
        """Wait for frames. Empty: the session has ended. Raises what ended it in disorder.

        After a goodbye or an end, calls that run are still replied to.
        """
        while True:
            self._changed.clear()
            frames = self._take()
            if frames:
                return frames
            if self._failure is not None:
                raise self._failure
            if self._ended and not self._stream.in_flight:
                return []
            self._arm()
            await self._changed.wait()

    def _arm(self) -> None:
        """Wake up for the next heartbeat: one timer for each, however often frames come between."""
        silence = self._stream.silence(self._clock.monotonic())
        if self._timer is None and silence is not None:
            self._timer = asyncio.get_running_loop().call_later(silence + 0.001, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._changed.set()

    def close(self) -> None:
        """Let go of everything. Calls already submitted to the engine are not withdrawn."""
        self._ended = self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()
