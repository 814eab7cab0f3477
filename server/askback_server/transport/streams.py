"""Streams over grpc.aio: one reader, one writer, and nothing else touches the context.

No read has a timeout (an expired one makes every later read report the end), no two writes are
concurrent, and a handler ends by return or by raising on (practice of grpc.aio).
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
from askback_server.sessions.frames import PromptEvent, ServerFrame
from askback_server.sessions.memory_budget import SMALL, Account, weight
from askback_server.sessions.replica import Replica
from askback_server.sessions.stream_session import StreamSession
from askback_server.sessions.watch_prompts import watch_prompts
from askback_server.sessions.work import WorkSession
from askback_server.transport.errors import known
from askback_server.transport.field_limits import check_fields, check_frame
from askback_server.transport.frames_converse import event_bytes, read_converse_frame, write_converse_frame
from askback_server.transport.frames_work import read_work_frame, write_work_frame
from askback_server.transport.hitl_calls import HitlCalls
from askback_server.transport.wire import within
from askback_server.transport.worker_calls import WorkerCalls

T = TypeVar("T")
MESSAGE_BYTES = 256 * 1024
"""No message passes this, unless a single frame does: a client on a slow line must read one within `unread`,
and other languages' clients refuse 4 MiB."""
PARSED_FRAME = 600
"""Bytes that a frame takes in memory once its message has been parsed, besides its texts."""
FAIR = 64
"""Frames of one message that are taken before others have a turn."""


@contextmanager
def open_accounts(replica: Replica, access: Access) -> Iterator[tuple[Account, Account]]:
    """The accounts of a stream that only writes: what it keeps until it is sent, and what is being sent."""
    subject = access.principal.subject
    with (
        closing(replica.unsent.account(subject, access.end)) as unsent,
        closing(replica.writing.account(subject, access.end)) as writing,
    ):
        yield unsent, writing


async def write_all(
    context: Any,
    writing: Account,
    large: FairSemaphore,
    items: list[T],
    message: Callable[[T], bytes],
    weigh: Callable[[T], int],
) -> None:
    """Write items as few messages, each made only when there is room for it; the list is empty then.

    Those that are not small wait for their principal's turn in `large`.

    A message is there twice while it is written: here, and as the transport's copy.
    """
    items.reverse()
    while items:
        several: list[T] = []
        size = 0
        while items and (not several or size < MESSAGE_BYTES):
            several.append(items.pop())
            size += weigh(several[-1])
        async with writing.room(2 * size):
            if size > SMALL:
                await large.acquire_for_iteration(writing.subject)
            for batch in joined(map(message, _popped(several))):
                await context.write(batch)
                del batch


def _popped(items: list[T]) -> Iterator[T]:
    """The items in order; none is kept after it was given."""
    items.reverse()
    while items:
        yield items.pop()


def joined(messages: Iterable[bytes]) -> Iterator[bytes]:
    """All that waits as few messages: concatenated, messages whose only field is repeated are one
    message with all their elements (protobuf's encoding)."""
    batch: list[bytes] = []
    size = 0
    for message in messages:
        if batch and size + len(message) > MESSAGE_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(message)
        size += len(message)
        del message
        if size >= MESSAGE_BYTES:  # the next one is not made before this is written
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)


async def serve_converse(replica: Replica, access: Access, context: Any) -> None:
    """One console's stream, to its end."""

    def perform(name: str, request: Any) -> Awaitable[Any]:
        return HitlCalls(replica, access.principal).perform(name, request)

    session = ConverseSession(replica, access, perform, known)
    await _serve(
        replica,
        session,
        context,
        lambda frame: read_converse_frame(frame, access.principal),
        write_converse_frame,
        replica.admission.console_messages,
    )


async def serve_work(replica: Replica, access: Access, context: Any) -> None:
    """One worker's stream, to its end."""

    def perform(name: str, request: Any) -> Awaitable[Any]:
        # The session is known by now: calls wait for the welcome.
        return WorkerCalls(replica, access.principal, session.session).perform(name, request)

    session = WorkSession(replica, access, perform, known)
    await _serve(
        replica,
        session,
        context,
        lambda frame: read_work_frame(frame, access.principal, replica.limits),
        write_work_frame,
        replica.admission.worker_messages,
    )


async def _serve(
    replica: Replica,
    session: StreamSession,
    context: Any,
    convert: Callable[[Any], Any],
    message: Callable[[ServerFrame], bytes],
    turns: FairSemaphore,
) -> None:
    limits, subject = replica.limits, session.access.principal.subject
    large = replica.admission.large_messages

    async def read() -> None:
        while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            frames, at = message.frames, 0
            session.received.set(message.ByteSize() + PARSED_FRAME * len(frames))
            await turns.acquire_for_iteration(subject)
            check_fields(message, limits)
            while at < len(frames):
                await session.wait_for_room()
                await turns.acquire_for_iteration(subject)
                end = min(at + FAIR, len(frames))
                while at < end and not session.is_full:
                    begin(frames[at])
                    at += 1
            del message, frames
            session.received.set(0)
        session.end()

    def begin(frame: Any) -> None:
        try:
            check_frame(frame, limits)
            session.receive(convert(frame))
        except InvalidField as error:
            if not session.refuse(frame.ref, error):
                raise

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda task: session.fail(task.exception()) if not task.cancelled() else None)
    replica.streams.add(session)
    patience = limits.hello.total_seconds()
    hurry = asyncio.get_running_loop().call_later(patience, session.expect_hello, patience)
    try:
        while frames := await session.next_frames():
            await write_all(context, session.writing, large, frames, message, lambda f: weight(f.body))
    finally:
        hurry.cancel()
        replica.streams.discard(session)
        session.close()
        reader.cancel()


_EVENT = within(hitl_service_pb2.WatchPromptsResponse, "events")


def _event_message(event: PromptEvent) -> bytes:
    return _EVENT(event_bytes(event))


async def serve_prompts(
    replica: Replica, access: Access, filter: PromptFilter, resume_token: str, context: Any
) -> None:
    """Serve WatchPrompts until the client leaves or the server drains."""
    large = replica.admission.large_messages
    with replica.watching() as watch, open_accounts(replica, access) as (unsent, writing):
        async with aclosing(watch_prompts(replica, access, filter, resume_token, watch, unsent)) as batches:
            async for events in batches:
                if events:
                    await write_all(context, writing, large, events, _event_message, weight)
                else:
                    await context.write(b"")
