"""Streams over grpc.aio: one task reads, one task writes, and nothing else uses the context.

grpc.aio requires this: after a read that timed out every later read reports the end of the stream, and two
writes must not run at once. A handler ends by returning or by raising.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, closing, contextmanager
from typing import Any, TypeVar

import grpc

from askback.v1 import hitl_service_pb2
from askback_server.domain.errors import InvalidField
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
        async with writing.room(2 * size):
            if size > SMALL_BYTES:
                await large.acquire_for_iteration(writing.subject)
            for batch in join_messages(map(message, _take(several))):
                await context.write(batch)
                del batch  # free it before the next one is made


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


async def serve_converse(replica: Replica, access: Access, context: StreamContext) -> None:
    """Serve a console's stream until it ends."""

    def perform(name: str, request: Message) -> Awaitable[Response]:
        return call_by_name(HitlCalls(replica, access.principal), name, request)

    session = ConverseSession(replica, access, perform, to_caller_error)
    await _serve(
        replica,
        session,
        context,
        lambda frame: read_converse_frame(frame, access.principal),
        write_converse_frame,
        replica.admission.console_messages,
    )


async def serve_work(replica: Replica, access: Access, context: StreamContext) -> None:
    """Serve a worker's stream until it ends."""

    def perform(name: str, request: Message) -> Awaitable[Response]:
        # The session is open by now: calls wait for the welcome.
        return call_by_name(WorkerCalls(replica, access.principal, session.session), name, request)

    session = WorkSession(replica, access, perform, to_caller_error)
    await _serve(
        replica,
        session,
        context,
        lambda frame: read_work_frame(frame, access.principal, replica.limits),
        write_work_frame,
        replica.admission.worker_messages,
    )


def call_by_name(calls: HitlCalls | WorkerCalls, name: str, request: Message) -> Awaitable[Response]:
    """Start the call that a frame names. The contract has only frames for which there is a method."""
    started: Awaitable[Response] = getattr(calls, name)(request)
    return started


async def _serve(
    replica: Replica,
    session: StreamSession,
    context: StreamContext,
    convert: Callable[[Any], ClientFrame],  # of the frames of either service
    message: Callable[[ServerFrame], bytes],
    turns: FairSemaphore,
) -> None:
    limits, subject = replica.limits, session.access.principal.subject
    large = replica.admission.large_messages

    async def read() -> None:
        while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            frames, at = message.frames, 0
            session.received.set(message.ByteSize() + PARSED_FRAME_BYTES * len(frames))
            await turns.acquire_for_iteration(subject)
            check_fields(message, limits)
            while at < len(frames):
                await session.wait_for_room()
                await turns.acquire_for_iteration(subject)
                end = min(at + FRAMES_PER_TURN, len(frames))
                while at < end and not session.is_full:
                    receive(frames[at])
                    at += 1
            del message, frames
            session.received.set(0)
        session.end()

    def receive(frame: Any) -> None:
        try:
            check_frame(frame, limits)
            session.receive(convert(frame))
        except InvalidField as error:
            if not session.refuse(frame.ref, error):
                raise

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda task: session.fail(task.exception()) if not task.cancelled() else None)
    replica.streams.add(session)
    wait = limits.hello.total_seconds()
    hello_timer = asyncio.get_running_loop().call_later(wait, session.expect_hello, wait)
    try:
        while frames := await session.next_frames():
            await write_all(context, session.writing, large, frames, message, lambda f: body_size(f.body))
    finally:
        hello_timer.cancel()
        replica.streams.discard(session)
        session.close()
        reader.cancel()


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
