"""The Converse protocol as a state machine (docs/design.md 6): frames and commits in, frames out."""

from __future__ import annotations

from collections.abc import Callable

from askback_server.domain.errors import InvalidField
from askback_server.domain.limits import Limits
from askback_server.sessions.converse_frames import ConverseHello
from askback_server.sessions.frames import (
    Call,
    ClientFrame,
    Credit,
    Goodbye,
    ServerFrame,
)
from askback_server.sessions.memory_budget import body_size
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.stream_core import StreamCore


class ConverseCore:
    """The state of one console's stream. The driver performs the calls that `receive` returns."""

    __slots__ = ("_limits", "stream", "view")

    def __init__(self, limits: Limits, heartbeat: float) -> None:
        self._limits = limits
        self.stream = StreamCore(ConverseHello, limits.in_flight, heartbeat)
        self.view: PromptView | None = None

    def receive(self, frame: ClientFrame) -> Call | ConverseHello | Goodbye | None:
        """Take a frame. Returns an action for the driver, if any. Raises BadHello, InvalidField."""
        hello = frame.body
        if isinstance(hello, ConverseHello) and not 0 <= hello.credit <= self._limits.credit:
            # Checked first: a wrong hello must end the stream, not count as said.
            raise InvalidField.of("hello.credit", f"must be between 0 and {self._limits.credit}")
        body = self.stream.receive(frame)
        if isinstance(body, ConverseHello):
            self.view = PromptView(body.filter, body.credit or None)
            return body
        if isinstance(body, Credit):
            if body.prompts < 1:
                self.stream.refuse(frame.ref, InvalidField.of("credit.prompts", "must be at least 1"))
            elif self.view is not None:
                self.view.give_credit(body.prompts, self._limits.credit)
            return None
        if isinstance(body, Call | Goodbye):
            return body
        return None

    @property
    def has_news(self) -> bool:
        """Whether `take` would return a frame."""
        return self.stream.has_frames or (self.view is not None and self.view.has_news)

    def take(self, limit: int, token: Callable[[], str]) -> list[ServerFrame]:
        """Take the next frames: replies and control frames first, then the view within its credit. `token`
        returns the position up to which the view is complete."""
        frames = self.stream.drain(limit)
        if self.view is not None and len(frames) < limit:
            events = self.view.take(limit - len(frames), token)
            frames += [ServerFrame(0, event, body_size(event)) for event in events]
        return frames
