"""A live console: prompts as they come, and answers on the same stream."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc

from askback._console.console_prompt import ConsolePrompt
from askback._console.desk import Closing, Desk
from askback._model.times import seconds
from askback._wire.channel import Endpoint
from askback._wire.contact import PATIENCE
from askback._wire.stream import Session
from askback.errors import AskbackError, FailedPrecondition, Unavailable
from askback.v1 import hitl_service_pb2 as pb
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub

_log = logging.getLogger("askback.console")


class ConverseWire:
    """The console's side of the Converse stream."""

    name = "console"
    method = "HitlService.Converse"
    session: object = None

    def __init__(self, hello: pb.ConverseHello) -> None:
        self._hello = hello
        self._put: Callable[[pb.ConverseClientFrame], None] | None = None
        self._freed = 0
        self.window = 64
        self.desk = Desk(self._restore)
        self.replica = ""
        self.watchers: list[Callable[[bool], None]] = []
        self._told = True
        self.test_mode = False

    def dial(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> Any:
        """Start the call."""
        stub: Any = HitlServiceStub(channel)
        return stub.Converse(metadata=tuple(metadata))

    def pack(self, frames: Sequence[pb.ConverseClientFrame]) -> pb.ConverseRequest:
        """The message that holds these frames."""
        return pb.ConverseRequest(frames=frames)

    def hello(self) -> pb.ConverseClientFrame:
        """Opens the conversation where the last one ended."""
        self._hello.resume_token = self.desk.token
        return pb.ConverseClientFrame(hello=self._hello)

    def heartbeat(self, *, leaving: bool) -> pb.ConverseClientFrame:
        """A sign of life."""
        return pb.ConverseClientFrame(heartbeat=pb.ConverseHeartbeat())

    def goodbye(self) -> pb.ConverseClientFrame:
        """The orderly end."""
        return pb.ConverseClientFrame(goodbye=pb.ConverseGoodbye())

    def welcomed(self, frame: pb.ConverseServerFrame) -> float:
        """Take the limits."""
        welcome = frame.welcome
        self.window = welcome.max_in_flight or self.window
        self.replica = welcome.replica
        self.test_mode = welcome.test_mode
        self.desk.new_stream()
        self._put, self._freed = None, 0
        return welcome.heartbeat_interval.ToTimedelta().total_seconds()

    def opened(self, put: Callable[[pb.ConverseClientFrame], None]) -> None:
        """From now on credit goes to this stream."""
        self._put = put
        freed, self._freed = self._freed, 0
        if freed:
            self._restore(freed)
        self._tell(True)

    def pushed(self, frame: pb.ConverseServerFrame, *, leaving: bool) -> None:
        """Take a change of the view, or a position."""
        match frame.WhichOneof("body"):
            case "prompt_event":
                self.desk.apply(frame.prompt_event)
            case "heartbeat":
                self.desk.bookmark(frame.heartbeat.resume_token)

    def refused(self, error: AskbackError, session: object) -> bool:
        """Nothing of a console is lost with its stream."""
        return False

    def lost(self, spoken: float) -> None:
        """Credit waits for the next stream, which begins with all of it."""
        self._put = None
        self.desk.caught_up.clear()
        self._tell(False)

    def _tell(self, connected: bool) -> None:
        if connected != self._told:
            self._told = connected
            for watcher in list(self.watchers):
                watcher(connected)

    def _restore(self, prompts: int) -> None:
        if not self._hello.credit:
            return
        if self._put is None:
            self._freed += prompts
        else:
            self._put(pb.ConverseClientFrame(credit=pb.ConverseCredit(prompts=prompts)))


class Console:
    """One person's desk. Made by `Client.console`; use it with `async with`.

        async for prompt in desk.prompts():
            await prompt.approve(comment="checked")

    It survives broken streams and restarts; answers are sent again until their result is known.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        namespace: str,
        view: pb.PromptFilter,
        credit: int,
        console_id: str,
        connect_timeout: float | None,
        patience: float = PATIENCE,
        test: bool = False,
    ) -> None:
        hello = pb.ConverseHello(
            namespace=namespace,
            console_id=console_id,
            instance_id=uuid.uuid4().hex,
            filter=view,
            credit=credit,
        )
        self.test = test
        self._endpoint = endpoint
        self._connect_timeout = (
            None if connect_timeout is None else seconds(connect_timeout, "connect_timeout")
        )
        self._patience = patience
        self._wire = ConverseWire(hello)
        self._desk = self._wire.desk
        self._session = Session(self._wire, endpoint)

    async def __aenter__(self) -> Console:
        timeout = self._connect_timeout
        await self._session.start(timeout, patience=None if timeout is None else min(self._patience, timeout))
        try:
            self.check_mode()
        except AskbackError:
            await self._session.aclose()
            raise
        who = f" as {self._endpoint.user}" if self._endpoint.user else ""
        _log.info("connected to %s%s", self._endpoint.shown, who)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave. Repeatable."""
        await self._session.aclose()

    @property
    def connected(self) -> bool:
        """Whether a stream is open now. Without one, prompts may be out of date and answers wait."""
        return self._session.connected

    @property
    def caught_up(self) -> asyncio.Event:
        """Set while the view is complete: all that was open has been received.

        With credit, that is after the program has taken what the credit holds back.
        """
        return self._desk.caught_up

    @property
    def open_ids(self) -> list[str]:
        """The ids of the prompts that are open in this view now, received ones only."""
        return self._desk.open_ids

    async def prompts(self) -> AsyncIterator[ConsolePrompt]:
        """Open prompts as they come, and again when they change: the newest state, never a closed one.

        Several iterators share the prompts among them. Raises AskbackError when the server refuses the
        console for good.
        """
        while True:
            taken = self._desk.take()
            if taken is None:
                await self._or_failure(self._desk.arrived)
                continue
            try:
                yield ConsolePrompt(taken.prompt, self)
            finally:
                self._desk.done(taken)

    def __aiter__(self) -> AsyncIterator[ConsolePrompt]:
        """As `prompts()`: `async for prompt in desk`."""
        return self.prompts()

    async def closings(self) -> AsyncIterator[Closing]:
        """What leaves the view from now on. Raises as `prompts`."""
        waiting: deque[Closing] = deque()
        arrived = asyncio.Event()

        def note(closing: Closing) -> None:
            waiting.append(closing)
            arrived.set()

        end = self._desk.listen(note)
        try:
            while True:
                while waiting:
                    yield waiting.popleft()
                arrived.clear()
                await self._or_failure(arrived)
        finally:
            end()

    def on_closed(self, listener: Callable[[Closing], None]) -> Callable[[], None]:
        """Call `listener` with all that leaves the view; the returned function ends that."""
        return self._desk.listen(listener)

    def on_connection(self, watcher: Callable[[bool], None]) -> Callable[[], None]:
        """Call `watcher` with False when the stream is lost and True when there is one again.

        A move to another stream that the server asked for is no loss. The returned function ends it.
        """
        self._wire.watchers.append(watcher)
        return lambda: self._wire.watchers.remove(watcher)

    async def request(self, **body: Any) -> Any:
        """Send one frame by the name of its body and return the reply's body. Raises AskbackError."""
        name, message = next(iter(body.items()))
        reply = await self._session.request(pb.ConverseClientFrame(**{name: message}))
        return getattr(reply, name)

    def check_mode(self) -> None:
        """Raise FailedPrecondition if a scripted human sits at a server that people work with.

        The server refuses its answers too; one that is older than test mode would not.
        """
        if self.test and not self._wire.test_mode:
            raise FailedPrecondition(
                f"{self._endpoint.target} is not in test mode; a scripted human answers nothing there",
                reason="ERROR_REASON_NOT_TEST_MODE",
            )

    def is_open(self, prompt_id: str) -> bool:
        """Whether the prompt is in the view and, as far as is known, open."""
        return self._desk.is_open(prompt_id)

    def note_closed(self, result: pb.AnswerResult) -> None:
        """The result of an answer says that its prompt has ended; the event may come later."""
        if result.prompt.HasField("resolution"):
            answer_id = result.prompt.resolution.answer.answer_id
            self._desk.close(
                result.prompt.prompt_id, result.prompt.job_id, result.prompt.resolution, answer_id
            )

    async def _or_failure(self, event: asyncio.Event) -> None:
        """Wait for an event. Raises the error that ends the session for good, if that comes first."""
        over = self._session.stopped
        if over is None:
            raise RuntimeError("enter the console first: async with client.console() as desk")
        task = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((task, over), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise self._session.failure or Unavailable("the console is closed")
        finally:
            task.cancel()
