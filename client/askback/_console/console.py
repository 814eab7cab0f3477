"""A live console: receives prompts and sends answers on one stream."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc

from askback._console.console_prompt import ConsolePrompt, RecordedVotes
from askback._console.console_view import Closing, ConsoleView
from askback._model.times import seconds
from askback._wire.batch import BatchAnswers
from askback._wire.channel import Endpoint
from askback._wire.contact import CONNECT_SECONDS
from askback._wire.stream import ReconnectingStream
from askback.errors import AskbackError, FailedPrecondition, Unavailable
from askback.v1 import hitl_service_pb2 as pb
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub

_log = logging.getLogger("askback.console")


class ConverseProtocol:
    """The client side of the Converse stream."""

    name = "console"
    method = "HitlService.Converse"

    def __init__(self, hello: pb.ConverseHello) -> None:
        self.session: object = None
        """One for each stream: what an older one still sends is in the newer one too, and its end of a
        snapshot, or its token, would count for another snapshot."""
        self._hello = hello
        self._held: list[pb.ConverseServerFrame] | None = None
        """Frames of the present stream that came after the hello of the next one; None: no hello waits."""
        self._put: Callable[[pb.ConverseClientFrame], None] | None = None
        self._freed = 0
        self.window = 64
        self.view = ConsoleView(self._restore)
        self.replica = ""
        self.watchers: list[Callable[[bool], None]] = []
        self._connected = True
        """The state that the watchers know."""
        self.test_mode = False

    def dial(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> Any:
        """Start the call."""
        stub: Any = HitlServiceStub(channel)
        return stub.Converse(metadata=tuple(metadata))

    def pack(self, frames: Sequence[pb.ConverseClientFrame]) -> pb.ConverseRequest:
        """Build the message that contains these frames."""
        return pb.ConverseRequest(frames=frames)

    def hello(self) -> pb.ConverseClientFrame:
        """Build the hello, with the position of the view, which does not change before the welcome.

        The next stream continues the view as it is now. What the present one still sends may be of another
        access: if the person gets the old one back before the hello arrives, the token is honoured.
        """
        self._hello.resume_token = self.view.token
        self._held = []
        return pb.ConverseClientFrame(hello=self._hello)

    def heartbeat(self, *, leaving: bool) -> pb.ConverseClientFrame:
        """Build a heartbeat."""
        return pb.ConverseClientFrame(heartbeat=pb.ConverseHeartbeat())

    def goodbye(self) -> pb.ConverseClientFrame:
        """Build the last frame of a graceful end."""
        return pb.ConverseClientFrame(goodbye=pb.ConverseGoodbye())

    def on_welcome(self, frame: pb.ConverseServerFrame) -> float:
        """Store the server's limits and prepare the view for a new stream."""
        welcome = frame.welcome
        self.window = welcome.max_in_flight or self.window
        self.replica = welcome.replica
        self.test_mode = welcome.test_mode
        self.session = object()
        self.view.new_stream()
        self._held = None
        self._put, self._freed = None, 0
        return welcome.heartbeat_interval.ToTimedelta().total_seconds()

    def on_open(self, put: Callable[[pb.ConverseClientFrame], None]) -> None:
        """Send credit to this stream from now on."""
        self._put = put
        freed, self._freed = self._freed, 0
        if freed:
            self._restore(freed)
        self._tell(True)

    def on_push(self, frame: pb.ConverseServerFrame, *, leaving: bool) -> None:
        """Apply a change of the view, or a new resume token; after the hello of the next stream, hold it back
        until that stream is open or refused."""
        if self._held is not None:
            self._held.append(frame)
            return
        match frame.WhichOneof("body"):
            case "prompt_event":
                self.view.apply(frame.prompt_event)
            case "heartbeat":
                self.view.bookmark(frame.heartbeat.resume_token)

    def on_refusal(self, error: AskbackError, session: object) -> bool:
        """Apply what came since the hello, as no stream has taken over. Never reconnect after a final error:
        a console has no session to replace."""
        held, self._held = self._held, None
        for frame in held or ():
            self.on_push(frame, leaving=True)
        return False

    def on_disconnect(self, last_sent: float) -> None:
        """Stop sending credit: the next stream begins with the full credit."""
        self._put = None
        self.view.caught_up.clear()
        self._tell(False)

    def _tell(self, connected: bool) -> None:
        if connected != self._connected:
            self._connected = connected
            for watcher in list(self.watchers):
                watcher(connected)

    def _restore(self, prompts: int) -> None:
        if not self._hello.credit:
            return
        if self._put is None:
            self._freed += prompts
        else:
            self._put(pb.ConverseClientFrame(credit=pb.ConverseCredit(prompts=prompts)))


class Console(BatchAnswers):
    """A live view of one person's open prompts. Made by `Client.console`; use it with `async with`.

        async for prompt in console.prompts():
            await prompt.approve(comment="checked")

    It reconnects after broken streams and restarts; answers are resent until their result is known.
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
        patience: float = CONNECT_SECONDS,
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
        self.recorded = RecordedVotes()
        self._endpoint = endpoint
        self._connect_timeout = (
            None if connect_timeout is None else seconds(connect_timeout, "connect_timeout")
        )
        self._patience = patience
        self._protocol = ConverseProtocol(hello)
        self._view = self._protocol.view
        self._session = ReconnectingStream(self._protocol, endpoint)

    async def __aenter__(self) -> Console:
        timeout = self._connect_timeout
        contact_timeout = None if timeout is None else min(self._patience, timeout)
        await self._session.start(timeout, contact_timeout=contact_timeout)
        try:
            self.check_mode()
        except AskbackError:
            await self._session.aclose()
            raise
        who = f" as {self._endpoint.user}" if self._endpoint.user else ""
        _log.info("connected to %s%s", self._endpoint.address, who)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the console. May be called repeatedly."""
        await self._session.aclose()

    @property
    def connected(self) -> bool:
        """Whether a stream is open. Without one, prompts may be out of date and answers wait."""
        return self._session.connected

    @property
    def caught_up(self) -> asyncio.Event:
        """Set while the view is complete: every open prompt has been received.

        With credit, the server sends the rest only after the program has taken earlier prompts.
        """
        return self._view.caught_up

    @property
    def open_ids(self) -> list[str]:
        """The ids of the prompts that were received and are open in this view."""
        return self._view.open_ids

    async def prompts(self) -> AsyncIterator[ConsolePrompt]:
        """Yield each open prompt when it arrives, and again when it changes: the newest state, never a closed
        one.

        Several iterators share the prompts. Raises AskbackError for a final error of the server.
        """
        while True:
            delivery = self._view.take()
            if delivery is None:
                await self._or_failure(self._view.arrived)
                continue
            try:
                yield ConsolePrompt(delivery.prompt, self)
            finally:
                self._view.settle(delivery)

    def __aiter__(self) -> AsyncIterator[ConsolePrompt]:
        """Iterate over `prompts()`: `async for prompt in console`."""
        return self.prompts()

    async def closings(self) -> AsyncIterator[Closing]:
        """Yield each prompt that leaves the view from now on. Raises the errors of `prompts`."""
        waiting: deque[Closing] = deque()
        arrived = asyncio.Event()

        def note(closing: Closing) -> None:
            waiting.append(closing)
            arrived.set()

        end = self._view.listen(note)
        try:
            while True:
                while waiting:
                    yield waiting.popleft()
                arrived.clear()
                await self._or_failure(arrived)
        finally:
            end()

    def on_closed(self, listener: Callable[[Closing], None]) -> Callable[[], None]:
        """Call `listener` with each prompt that leaves the view. Returns a function that unsubscribes."""
        return self._view.listen(listener)

    def on_connection(self, watcher: Callable[[bool], None]) -> Callable[[], None]:
        """Call `watcher` with False when the stream breaks and with True when it is open again.

        A move to another stream at the server's request is not reported. Returns a function that
        unsubscribes.
        """
        self._protocol.watchers.append(watcher)
        return lambda: self._protocol.watchers.remove(watcher)

    async def request(self, **body: Any) -> Any:
        """Send one frame by the name of its body and return the reply's body. Raises AskbackError."""
        name, message = next(iter(body.items()))
        reply = await self._session.request(pb.ConverseClientFrame(**{name: message}))
        return getattr(reply, name)

    async def _send_batch(self, request: pb.AnswerPromptsRequest) -> pb.AnswerPromptsResponse:
        if self.test:  # the contract has no mark for such answers
            raise FailedPrecondition("a scripted human answers one prompt at a time")
        reply: pb.AnswerPromptsResponse = await self.request(answer_prompts=request)
        return reply

    def check_mode(self) -> None:
        """Raise FailedPrecondition if a test's scripted human is connected to a server outside test mode.

        Such a server refuses the answers too, but a server from before test mode would not.
        """
        if self.test and not self._protocol.test_mode:
            raise FailedPrecondition(
                f"{self._endpoint.target} is not in test mode; a scripted human answers nothing there",
                reason="ERROR_REASON_NOT_TEST_MODE",
            )

    def is_open(self, prompt_id: str) -> bool:
        """Whether the prompt is in the view and, as far as the console knows, open."""
        return self._view.is_open(prompt_id)

    def note_closed(self, result: pb.AnswerResult) -> None:
        """Close the prompt if the result of an answer reports its end; the event may come later."""
        if result.prompt.HasField("resolution"):
            answer_id = result.prompt.resolution.answer.answer_id
            self._view.close(
                result.prompt.prompt_id, result.prompt.job_id, result.prompt.resolution, answer_id
            )

    async def _or_failure(self, event: asyncio.Event) -> None:
        """Wait for an event. Raises the error that ends the stream for good, if that comes first."""
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
