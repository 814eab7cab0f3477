"""One full-screen console, the server's side of its stream, and a clock that the test moves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from textual.pilot import Pilot

from askback._client.client import Client
from askback._console.console import Console
from askback._model.enums import Authentication
from askback._model.identity import Identity
from askback.terminal.full_screen.app import FullScreenConsole
from askback.terminal.full_screen.dead_time import DEAD_SECONDS, DeadTime
from askback.terminal.full_screen.question_pane import QuestionPane
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2
from tests.support.fake_server import FakeServer, FakeStream, converse_welcome, span

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SCREENS = Path(__file__).parent / "screens"
PATIENCE = 20.0


class FakeClock:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time

    def pass_dead_time(self) -> None:
        """Let enough time pass for keys to work again."""
        self.time += 2 * DEAD_SECONDS


class World:
    """A console on the screen, and the server that it talks to."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.clock = FakeClock()
        self.stream: FakeStream
        self.console: Console
        self.app: FullScreenConsole
        self.pilot: Pilot[Any]

    @asynccontextmanager
    async def open(
        self, *events: pb.PromptEvent, size: tuple[int, int] = (100, 30), person: Identity | None = None
    ) -> AsyncIterator[World]:
        """Show a console that has received these events and is complete."""
        client = Client(self.server.target, user="ana")
        self.console = client.console()
        entering = asyncio.create_task(self.console.__aenter__())
        await self.welcome()
        await entering
        self.app = FullScreenConsole(self.console, DeadTime(self.clock), person, client.rules)
        try:
            async with self.app.run_test(size=size) as self.pilot:
                self.events(*events, caught_up())
                await self.until(lambda: self.app._live.is_live)
                self.clock.pass_dead_time()
                yield self
                await self.app.action_leave_console()
        finally:
            self.stream.end()
            await self.console.aclose()
            await client.aclose()

    async def welcome(self) -> None:
        """Accept the console's next stream."""
        self.stream = await self.server.converse()
        frame = await self.stream.next("hello")
        self.stream.send(frame.ref, **converse_welcome(heartbeat_interval=span(600)))

    def events(self, *events: pb.PromptEvent) -> None:
        """Send events of the view."""
        self.stream.send_all(*((0, {"prompt_event": event}) for event in events))

    async def disconnect(self) -> None:
        """Break the stream, and wait until the screen says so."""
        self.stream.end(grpc.StatusCode.UNAVAILABLE)
        await self.until(lambda: "no connection" in self.text)

    async def press(self, *keys: str) -> None:
        """Press keys, each after the dead time."""
        for key in keys:
            self.clock.pass_dead_time()
            await self.pilot.press(key)
            await self.pilot.pause()

    async def enter(self, text: str) -> None:
        """Type an answer and press Enter, when a question is open."""
        await self.until(lambda: self.question != "")
        await self.pilot.press(*("space" if letter == " " else letter for letter in text))
        before = self.pane.question
        await self.press("enter")
        await self.until(lambda: self.pane.question is not before)

    async def answer_frame(self) -> tuple[Any, pb.AnswerPromptRequest]:
        """The answer that the console sends next."""
        frame = await self.stream.next("answer_prompt")
        return frame, frame.answer_prompt

    async def reply(self, frame: Any, status: str, **more: Any) -> None:
        """Send the verdict on an answer."""
        result = pb.AnswerResult(
            answer_id=frame.answer_prompt.answer_id,
            status=prompt_pb2.AnswerStatus.Value(f"ANSWER_STATUS_{status}"),
            **more,
        )
        self.stream.send(frame.ref, answer_prompt=pb.AnswerPromptResponse(result=result))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the screen is as expected."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await self.pilot.pause()
        except TimeoutError:
            raise AssertionError(f"never so; the screen:\n{self.text}") from None

    @property
    def pane(self) -> QuestionPane:
        """The pane of questions."""
        return self.app.query_one(QuestionPane)

    @property
    def question(self) -> str:
        """The text of the open question; empty without one."""
        return self.pane.question.text if self.pane.question else ""

    @property
    def selected(self) -> str:
        """The id of the selected prompt; empty without one."""
        current = self.app._prompts.current
        return current.prompt.prompt_id if current else ""

    @property
    def text(self) -> str:
        """The screen as lines of text."""
        strips = self.app.screen._compositor.render_strips()
        return "".join(f"{strip.text.rstrip()}\n" for strip in strips)

    async def assert_screen(self, name: str) -> None:
        """Compare the screen with a golden one."""
        await self.pilot.pause()
        path = SCREENS / f"{name}.txt"
        if os.environ.get("ASKBACK_REWRITE_SCREENS"):
            path.write_text(self.text, encoding="utf-8")
        assert self.text == path.read_text(encoding="utf-8")


def known_as(name: str, *groups: str, admin: bool = False, roles: tuple[str, ...] = ("console",)) -> Identity:
    """The person at the screen."""
    return Identity(name, ("default",), False, roles, groups, admin, Authentication.TOKEN, None, None)


def at(seconds: float) -> Timestamp:
    """A time, in seconds from now."""
    stamp = Timestamp()
    stamp.FromMilliseconds(int((NOW.timestamp() + seconds) * 1000))
    return stamp


def prompt(name: str, version: int = 1, **more: Any) -> prompt_pb2.Prompt:
    """An open prompt: `content` and other fields by name."""
    content = {"kind": "confirm", "title": f"Question {name}?", **more.pop("content", {})}
    content.setdefault(
        "decisions",
        [
            prompt_pb2.DecisionOption(decision=prompt_pb2.DECISION_ACCEPT, label="Approve"),
            prompt_pb2.DecisionOption(decision=prompt_pb2.DECISION_REJECT, label="Reject"),
        ],
    )
    more.setdefault("revision", 1)
    more.setdefault("create_time", at(-180))
    return prompt_pb2.Prompt(
        prompt_id=name,
        job_id=f"job-{name}",
        job_type="refund",
        key="k",
        round=1,
        version=version,
        state=prompt_pb2.PROMPT_STATE_PENDING,
        content=prompt_pb2.PromptContent(**content),
        **more,
    )


def up(name: str, version: int = 1, **more: Any) -> pb.PromptEvent:
    """A prompt that is new or has changed."""
    return pb.PromptEvent(upserted=pb.PromptUpserted(prompt=prompt(name, version, **more)))


def closed(name: str, version: int = 2, user: str = "bob") -> pb.PromptEvent:
    """A prompt that was approved."""
    end = pb.PromptClosed(prompt_id=name, job_id=f"job-{name}", version=version, answer_id="a")
    end.resolution.state = prompt_pb2.PROMPT_STATE_ANSWERED
    end.resolution.actor = user
    end.resolution.time.CopyFrom(at(-3))
    end.resolution.answer.user_id = user
    end.resolution.answer.decision = prompt_pb2.DECISION_ACCEPT
    end.resolution.answer.revision = 1
    return pb.PromptEvent(closed=end)


def caught_up() -> pb.PromptEvent:
    """Everything was sent."""
    return pb.PromptEvent(caught_up=pb.PromptsCaughtUp(resume_token="t"))
