"""Streams over grpc.aio: one task reads, one task writes, and nothing else uses the context.

grpc.aio requires this: after a read that timed out every later read reports the end of the stream, and two
writes must not run at once. A handler ends by returning or by raising.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing, closing, contextmanager
from operator import attrgetter
from typing import Any, TypeVar

import grpc

from askback.v1 import hitl_service_pb2
from askback_server.domain.errors import InvalidField
from askback_server.domain.principals import Principal
from askback_server.ports.queries import PromptFilter
from askback_server.sessions.access import Access
from askback_server.sessions.converse import ConverseSession
from askback_server.sessions.fair_semaphore import FairSemaphore
from askback_server.sessions.frames import ClientFrame, Message, PromptEvent, Response, ServerFrame
from askback_server.sessions.memory_budget import SMALL_BYTES, Account, body_size
from askback_server.sessions.replica import Replica
from askback_server.sessions.stream_session import StreamSession
from askback_server.sessions.watch_prompts import watch_prompts
from askback_server.sessions.work import WorkSession
from askback_server.transport.errors import to_caller_error
from askback_server.transport.field_limits import check_fields, check_frame
from askback_server.transport.frames_converse import event_bytes, read_converse_frame, write_converse_frame
from askback_server.transport.frames_work import read_work_frame, write_work_frame
from askback_server.transport.hitl_calls import HitlCalls
from askback_server.transport.open_calls import StreamContext
from askback_server.transport.wire import within
from askback_server.transport.worker_calls import WorkerCalls

T = TypeVar("T")
_FRAME_SIZE: Callable[[ServerFrame], int] = attrgetter("size")
MAX_MESSAGE_BYTES = 256 * 1024
"""Maximum size of a message, unless a single frame is larger. A client on a slow line must be able to read it
within `Limits.unread`, and clients in other languages reject 4 MiB."""
PARSED_FRAME_BYTES = 600
"""Bytes of memory that a parsed frame takes in addition to its texts."""
FRAMES_PER_TURN = 64
"""Frames of one message that are processed before other streams get a turn."""


@contextmanager
def open_accounts(replica: Replica, access: Access) -> Iterator[tuple[Account, Account]]:
    """The accounts of a stream that only writes: for unsent data, and for data that is being written."""
    subject = access.principal.subject
    with (
        closing(replica.unsent.account(subject, access.end)) as unsent,
        closing(replica.writing.account(subject, access.end)) as writing,
    ):
        yield unsent, writing


async def write_all(
    context: StreamContext,
    writing: Account,
    large: FairSemaphore,
    items: list[T],
    message: Callable[[T], bytes],
    size_of: Callable[[T], int],
) -> None:
    """Write the items, and remove them from the list.

    Items are combined into messages of about `MAX_MESSAGE_BYTES`. A message is serialised when `writing` has
    room for it twice, because gRPC copies it. Large messages wait for the principal's turn in `large`.
    """
    items.reverse()
    while items:
        several: list[T] = []
        size = 0
        while items and (not several or size < MAX_MESSAGE_BYTES):
            several.append(items.pop())
            size += size_of(several[-1])
        await writing.take(2 * size)
        try:  # no context manager: this runs for each message to each console
            if size > SMALL_BYTES:
                await large.acquire_for_iteration(writing.subject)
            for batch in join_messages(map(message, _take(several))):
                await context.write(batch)
                del batch  # free it before the next one is made
        finally:
            writing.add(-2 * size)


def _take(items: list[T]) -> Iterator[T]:
    """The items in order. Each is removed from the list before it is yielded, so that nothing keeps it."""
    items.reverse()
    while items:
        yield items.pop()


def join_messages(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Combine serialised messages whose only field is repeated.

    In protobuf's encoding their concatenation is one message with all their elements.
    """
    batch: list[bytes] = []
    size = 0
    for message in messages:
        if batch and size + len(message) > MAX_MESSAGE_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(message)
        size += len(message)
        del message
        if size >= MAX_MESSAGE_BYTES:  # yield now, so that the next one is not serialised before
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)


class _Stream(ABC):
    """A stream in both directions: one task reads, and `run` writes until the stream ends."""

    __slots__ = ("_context", "_hello_timer", "_large", "_replica", "_session", "_turns")

    def __init__(
        self, replica: Replica, session: StreamSession, context: StreamContext, turns: FairSemaphore
    ) -> None:
        self._replica = replica
        self._session = session
        self._context = context
        self._turns = turns
        """The turns of principals to have their frames processed."""
        self._large = replica.admission.large_messages
        wait = replica.limits.hello.total_seconds()
        self._hello_timer = asyncio.get_running_loop().call_later(wait, session.expect_hello, wait)

    @property
    def _principal(self) -> Principal:
        return self._session.access.principal

    # `Any` for frames: those of the two services have no common class, and mypy has no types of protobuf's.
    @abstractmethod
    def _convert(self, frame: Any) -> ClientFrame:
        """Convert a frame of either service. Raises InvalidField."""

    @abstractmethod
    def _message(self, frame: ServerFrame) -> bytes:
        """Serialise a frame as a message of its own."""

    async def run(self) -> None:
        """Serve the stream until it ends. Raises the error that ended it."""
        session, streams = self._session, self._replica.streams
        reader = asyncio.create_task(self._read())
        reader.add_done_callback(self._on_read)
        streams.add(session)
        try:
            while frames := await session.next_frames():
                await write_all(
                    self._context, session.writing, self._large, frames, self._message, _FRAME_SIZE
                )
        finally:
            self._hello_timer.cancel()
            streams.discard(session)
            session.close()
            reader.cancel()

    async def _read(self) -> None:
        session, turns, subject = self._session, self._turns, self._principal.subject
        while (message := await self._context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            frames, at = message.frames, 0
            session.received.set(message.ByteSize() + PARSED_FRAME_BYTES * len(frames))
            await turns.acquire_for_iteration(subject)
            check_fields(message, self._replica.limits)
            while at < len(frames):
                if at or session.is_full:
                    await session.wait_for_room()
                    await turns.acquire_for_iteration(subject)
                end = min(at + FRAMES_PER_TURN, len(frames))
                while at < end and not session.is_full:
                    self._receive(frames[at])
                    at += 1
            del message, frames
            session.received.set(0)
            if at:  # the first frame was the hello, or has ended the stream; a message may have none
                self._hello_timer.cancel()
        session.end()

    def _receive(self, frame: Any) -> None:
        try:
            check_frame(frame, self._replica.limits)
            self._session.receive(self._convert(frame))
        except InvalidField as error:
            if not self._session.refuse(frame.ref, error):
                raise

    def _on_read(self, reader: asyncio.Task[None]) -> None:
        if not reader.cancelled():
            self._session.fail(reader.exception())


class _ConsoleStream(_Stream):
    __slots__ = ()

    def __init__(self, replica: Replica, access: Access, context: StreamContext) -> None:
        session = ConverseSession(replica, access, self._perform, to_caller_error)
        super().__init__(replica, session, context, replica.admission.console_messages)

    def _perform(self, name: str, request: Message) -> Awaitable[Response]:
        return call_by_name(HitlCalls(self._replica, self._principal), name, request)

    def _convert(self, frame: Any) -> ClientFrame:
        return read_converse_frame(frame, self._principal)

    def _message(self, frame: ServerFrame) -> bytes:
        return write_converse_frame(frame)


class _WorkerStream(_Stream):
    __slots__ = ()
    _session: WorkSession

    def __init__(self, replica: Replica, access: Access, context: StreamContext) -> None:
        session = WorkSession(replica, access, self._perform, to_caller_error)
        super().__init__(replica, session, context, replica.admission.worker_messages)

    def _perform(self, name: str, request: Message) -> Awaitable[Response]:
        # The session is open by now: calls wait for the welcome.
        return call_by_name(WorkerCalls(self._replica, self._principal, self._session.session), name, request)

    def _convert(self, frame: Any) -> ClientFrame:
        return read_work_frame(frame, self._principal, self._replica.limits)

    def _message(self, frame: ServerFrame) -> bytes:
        return write_work_frame(frame)


def serve_converse(replica: Replica, access: Access, context: StreamContext) -> Coroutine[Any, Any, None]:
    """Serve a console's stream until it ends."""
    return _ConsoleStream(replica, access, context).run()


def serve_work(replica: Replica, access: Access, context: StreamContext) -> Coroutine[Any, Any, None]:
    """Serve a worker's stream until it ends."""
    return _WorkerStream(replica, access, context).run()


def call_by_name(calls: HitlCalls | WorkerCalls, name: str, request: Message) -> Awaitable[Response]:
    """Start the call that a frame names. The contract has only frames for which there is a method."""
    started: Awaitable[Response] = getattr(calls, name)(request)
    return started


_EVENT = within(hitl_service_pb2.WatchPromptsResponse, "events")


def _event_message(event: PromptEvent) -> bytes:
    return _EVENT(event_bytes(event))


async def serve_prompts(
    replica: Replica, access: Access, filter: PromptFilter, resume_token: str, context: StreamContext
) -> None:
    """Serve WatchPrompts until the client leaves or the server drains."""
    large = replica.admission.large_messages
    with replica.watching() as watch, open_accounts(replica, access) as (unsent, writing):
        async with aclosing(watch_prompts(replica, access, filter, resume_token, watch, unsent)) as batches:
            async for events in batches:
                if events:
                    await write_all(context, writing, large, events, _event_message, body_size)
                else:
                    await context.write(b"")
