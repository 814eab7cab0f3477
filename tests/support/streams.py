"""Raw streams of a console and of a worker."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc

from askback._wire.stream_writes import StreamEnded, write
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import worker_service_pb2 as workers
from tests.support.refusals import SOON, Refusal, check, frame_refusal, refusal_of

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]

ABSENT_ID = "00000000-0000-7000-8000-000000000000"
"""A well-formed id that does not exist."""


class Stream:
    """The client's side of a stream: sends frames, and returns received frames in order."""

    request: type[Any]
    probe: Callable[[int], Any]
    """A frame that the server must refuse with NOT_FOUND: used for a round trip."""
    pushed_by_time: frozenset[str] = frozenset({"heartbeat"})

    def __init__(self, call: Any) -> None:
        self.call = call
        self.heartbeats: list[Any] = []
        self.messages = 0
        self._in: asyncio.Queue[Any] = asyncio.Queue()
        self._refs = itertools.count(1000)
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        # A cancelled read would cancel the call, so one task reads, and timeouts apply to the queue only.
        try:
            async for message in self.call:
                self.messages += 1
                assert message.frames
                for frame in message.frames:
                    self._in.put_nowait(frame)
            self._in.put_nowait(None)
        except grpc.aio.AioRpcError as error:
            self._in.put_nowait(error)
        except asyncio.CancelledError:
            self._in.put_nowait(None)

    async def send(self, *frames: Any) -> None:
        """Send one message with these frames. The end of the stream is for those who read."""
        with suppress(StreamEnded):
            async with asyncio.timeout(SOON):
                await write(self.call, self.request(frames=frames))

    async def any_frame(self) -> Any:
        """The next frame. Raises AioRpcError or EOFError at the end."""
        async with asyncio.timeout(SOON):
            found = await self._in.get()
        if found is None:
            raise EOFError
        if isinstance(found, BaseException):
            raise found
        return found

    async def frame(self) -> Any:
        """The next frame that is not a heartbeat. Raises AioRpcError or EOFError at the end."""
        while True:
            found = await self.any_frame()
            if found.WhichOneof("body") not in self.pushed_by_time:
                return found
            self.heartbeats.append(found.heartbeat)

    async def expect(self, body: str) -> Any:
        """The body of the next frame, which must be of this kind."""
        frame = await self.frame()
        assert frame.WhichOneof("body") == body, frame
        return getattr(frame, body)

    async def ask(self, **body: Any) -> Any:
        """Send one frame and return the body of its reply, which must be the next frame."""
        ref = next(self._refs)
        [name] = body
        await self.send(self._frame(ref, **body))
        frame = await self.frame()
        assert frame.ref == ref, frame
        assert frame.WhichOneof("body") == name, frame
        return getattr(frame, name)

    async def ask_refused(self, code: str, reason: str, **body: Any) -> Refusal:
        """Send one frame, and assert that it is refused with this code and reason."""
        ref = next(self._refs)
        await self.send(self._frame(ref, **body))
        frame = await self.frame()
        assert frame.ref == ref, frame
        assert frame.WhichOneof("body") == "error", frame
        found = frame_refusal(frame.error)
        check(found, code, reason)
        return found

    async def nothing_more(self) -> None:
        """Assert, with a round trip, that no event is pending: its reply must be the next frame."""
        ref = next(self._refs)
        await self.send(self._probe(ref))
        frame = await self.frame()
        assert frame.ref == ref, frame
        assert self._in.empty() or self._in.qsize() == len(self.heartbeats_waiting()), self._in

    def heartbeats_waiting(self) -> list[Any]:
        """The heartbeats among the received frames that have not been read."""
        waiting = list(self._in._queue)  # type: ignore[attr-defined]
        return [f for f in waiting if f is not None and f.WhichOneof("body") in self.pushed_by_time]

    def _frame(self, ref: int, **body: Any) -> Any:
        raise NotImplementedError

    def _probe(self, ref: int) -> Any:
        raise NotImplementedError

    async def wait_for_end(self) -> Refusal | None:
        """Wait for the end of the stream. Returns the status if it is not OK."""
        try:
            while True:
                await self.frame()
        except EOFError:
            return None
        except grpc.aio.AioRpcError as error:
            return refusal_of(error)

    async def no_more_requests(self) -> None:
        """Half-close the stream."""
        async with asyncio.timeout(SOON):
            await self.call.done_writing()

    async def aclose(self) -> None:
        """Cancel the stream, like a crash of the client."""
        self.call.cancel()
        self._reader.cancel()
        async with asyncio.timeout(SOON):
            await asyncio.gather(self._reader, return_exceptions=True)


class Console(Stream):
    """The console's side of Converse."""

    request = hitl.ConverseRequest

    def _frame(self, ref: int, **body: Any) -> Any:
        return hitl.ConverseClientFrame(ref=ref, **body)

    def _probe(self, ref: int) -> Any:
        return self._frame(ref, get_prompt=hitl.GetPromptRequest(prompt_id=ABSENT_ID))

    async def hello(self, **hello: Any) -> Any:
        """Send a hello and return the welcome."""
        await self.send(hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello(**hello)))
        return await self.expect("welcome")

    async def event(self, kind: str) -> Any:
        """The next prompt event, which must be of this kind."""
        event = await self.expect("prompt_event")
        assert event.WhichOneof("event") == kind, event
        return getattr(event, kind)

    async def snapshot(self) -> tuple[list[Any], Any]:
        """Read prompts up to `caught_up`. Returns both."""
        shown = []
        while True:
            event = await self.expect("prompt_event")
            match event.WhichOneof("event"):
                case "upserted":
                    shown.append(event.upserted.prompt)
                case "caught_up":
                    return shown, event.caught_up
                case other:
                    raise AssertionError(other)

    async def token(self) -> str:
        """The resume token of a heartbeat sent after all events so far."""
        await self.nothing_more()
        seen = len(self.heartbeats)
        while len(self.heartbeats) < seen + 2:
            found = await self.any_frame()
            assert found.WhichOneof("body") == "heartbeat", found
            self.heartbeats.append(found.heartbeat)
        return str(self.heartbeats[-1].resume_token)

    async def credit(self, count: int) -> None:
        """Grant credit for `count` prompts."""
        await self.send(hitl.ConverseClientFrame(credit=hitl.ConverseCredit(prompts=count)))


class Worker(Stream):
    """The worker's side of Work."""

    request = workers.WorkRequest
    session_id = ""
    secret = ""

    def _frame(self, ref: int, **body: Any) -> Any:
        return workers.WorkClientFrame(ref=ref, **body)

    def _probe(self, ref: int) -> Any:
        return self._frame(ref, list_checkpoints=workers.ListCheckpointsRequest(job_id=ABSENT_ID))

    async def hello(self, *job_types: str, **hello: Any) -> Any:
        """Send a hello and return the welcome."""
        hello.setdefault("worker_id", "w")
        body = workers.WorkHello(job_types=job_types or ("t",), **hello)
        await self.send(workers.WorkClientFrame(ref=1, hello=body))
        welcome = await self.expect("welcome")
        self.session_id, self.secret = welcome.session_id, welcome.session_secret
        return welcome

    async def next_job(self) -> Any:
        """The leased job of the next frame, which must carry one."""
        return (await self.expect("job_leased")).leased_job

    async def lose(self) -> None:
        """Crash without reconnecting."""
        await self.aclose()
