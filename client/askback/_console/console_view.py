"""The view of a console: the open prompts, in their newest state only."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from askback._model.resolutions import Resolution
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2

_log = logging.getLogger("askback.console")

_MAX_CLOSED = 10_000
"""The number of closed prompts to remember, so that none is shown as open again."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A prompt that left the view.

    `why` is `closed` (`resolution` and `answer_id` tell the winner), `removed` (still open, but not in this
    view), or `gone` (it left the view while the console was disconnected).
    """

    prompt_id: str
    job_id: str
    why: str
    resolution: Resolution | None = None
    answer_id: str = ""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All open prompts have been sent; the following items are live. Repeated after a reconnect."""

    open_prompts: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A prompt that was handed to the program, and the stream whose credit it uses."""

    prompt: prompt_pb2.Prompt
    stream: int | None


class ConsoleView:
    """Applies prompt events, and hands out prompts one by one.

    Until a prompt is taken only its newest state is kept; closed prompts are never handed out, and versions
    never go back. `restore(n)` is called when `n` credits of the present stream are free again.
    """

    def __init__(self, restore: Callable[[int], None]) -> None:
        self._restore = restore
        self._queue: OrderedDict[str, prompt_pb2.Prompt] = OrderedDict()
        self._versions: dict[str, tuple[int, str]] = {}
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._charged: dict[str, int] = {}
        self._stream = 0
        self._unseen: set[str] | None = None
        self.arrived = asyncio.Event()
        """Set if there may be a prompt to take."""
        self._listeners: list[Callable[[Closing], None]] = []
        self.caught_up = asyncio.Event()
        self.token = ""

    def listen(self, listener: Callable[[Closing], None]) -> Callable[[], None]:
        """Call `listener` with every closing. Returns a function that unsubscribes."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def is_open(self, prompt_id: str) -> bool:
        """Whether the prompt is in the view and, as far as the console knows, open."""
        return prompt_id in self._versions

    @property
    def open_ids(self) -> list[str]:
        """The ids of the prompts of the view."""
        return list(self._versions)

    def new_stream(self) -> None:
        """Begin a new stream, which continues from `token`: earlier prompts use none of its credit. Without a
        token a snapshot follows."""
        self._stream += 1
        self._charged.clear()
        self._unseen = None
        self.caught_up.clear()
        if not self.token:
            self._expect_snapshot()

    def take(self) -> Delivery | None:
        """The newest state of the next prompt, if there is one. `settle` returns its credit."""
        if not self._queue:
            self.arrived.clear()
            return None
        prompt_id, prompt = self._queue.popitem(last=False)
        return Delivery(prompt, self._charged.pop(prompt_id, None))

    def settle(self, delivery: Delivery) -> None:
        """The program has finished with a prompt: return its credit."""
        if delivery.stream is not None and delivery.stream == self._stream:
            self._restore(1)

    def apply(self, event: pb.PromptEvent) -> None:
        """Apply one event."""
        match event.WhichOneof("event"):
            case "upserted":
                self._upsert(event.upserted.prompt)
            case "closed":
                closed = event.closed
                self.close(closed.prompt_id, closed.job_id, closed.resolution, closed.answer_id)
            case "removed":
                if self._versions.get(event.removed.prompt_id, (0, ""))[0] <= event.removed.version:
                    self._leave(event.removed.prompt_id, "removed")
            case "caught_up":
                self.token = event.caught_up.resume_token or self.token
                self._end_snapshot()
            case "reset_view":
                _log.info("the view restarts: %s", event.reset_view.reason)
                self.token = ""
                if event.reset_view.history_lost:
                    # The server was restored: versions restart and closed prompts may be open again, so only
                    # the snapshot counts.
                    self._closed.clear()
                    self._versions = {p: (0, job_id) for p, (_, job_id) in self._versions.items()}
                self._expect_snapshot()
            case "bookmark":
                self.bookmark(event.bookmark.resume_token)
            case other:
                _log.debug("ignoring %s of a newer server", other)

    def bookmark(self, token: str) -> None:
        """Store a newer resume token; empty: none.

        Ignored until the stream has caught up: changes before that position have not been received yet.
        """
        if token and self.caught_up.is_set():
            self.token = token

    def close(
        self, prompt_id: str, job_id: str, resolution: prompt_pb2.Resolution, answer_id: str = ""
    ) -> None:
        """The prompt has ended, by an event or by the result of our own answer. May be called repeatedly."""
        if prompt_id in self._closed:
            return
        self._closed[prompt_id] = None
        while len(self._closed) > _MAX_CLOSED:
            self._closed.popitem(last=False)
        self._leave(prompt_id, "closed", Resolution.from_proto(resolution), answer_id, job_id)

    def _upsert(self, prompt: prompt_pb2.Prompt) -> None:
        prompt_id = prompt.prompt_id
        if self._unseen is not None:
            self._unseen.discard(prompt_id)
        known = self._versions.get(prompt_id)
        if prompt_id in self._closed or (known is not None and known[0] >= prompt.version):
            self._restore(1)
            return
        self._versions[prompt_id] = (prompt.version, prompt.job_id)
        if self._charged.get(prompt_id) == self._stream:
            self._restore(1)
        self._charged[prompt_id] = self._stream
        self._queue[prompt_id] = prompt
        self.arrived.set()

    def _leave(
        self,
        prompt_id: str,
        why: str,
        resolution: Resolution | None = None,
        answer_id: str = "",
        job_id: str = "",
    ) -> None:
        self._queue.pop(prompt_id, None)
        if self._charged.pop(prompt_id, None) == self._stream:
            self._restore(1)
        known = self._versions.pop(prompt_id, None)
        if self._unseen is not None:
            self._unseen.discard(prompt_id)
        if known is None and why != "closed":
            return
        closing = Closing(prompt_id, job_id or (known[1] if known else ""), why, resolution, answer_id)
        for listener in list(self._listeners):
            try:
                listener(closing)
            except Exception:
                _log.exception("a listener failed on %s", prompt_id)

    def _expect_snapshot(self) -> None:
        self.caught_up.clear()
        self._unseen = set(self._versions)

    def _end_snapshot(self) -> None:
        gone, self._unseen = self._unseen, None
        for prompt_id in gone or ():
            self._leave(prompt_id, "gone")
        self.caught_up.set()
