"""How far the open prompts of a view have been read: page by page, the most urgent ones first.

A prompt beyond the frontier that the console does not have is not kept, because it is read when its turn
comes. While a page is on its way from the database this is not so: the page may have an older image of the
prompt, or may have been read before the prompt was there. Such prompts are kept until the page is there.
"""

from __future__ import annotations

from datetime import UTC, datetime

from askback_server.domain.prompts import Prompt
from askback_server.ports.queries import PromptPosition

Urgency = tuple[int, datetime, str]
_NO_DEADLINE = datetime(9999, 12, 31, tzinfo=UTC)
_START: Urgency = (-(1 << 60), datetime.min.replace(tzinfo=UTC), "")
"""Before all prompts."""


def urgency(prompt: Prompt) -> Urgency:
    """The sort key of prompts: priority, deadline, age."""
    return -prompt.content.priority, prompt.expires_at or _NO_DEADLINE, prompt.prompt_id


def urgency_at(position: PromptPosition) -> Urgency:
    """The sort key of the prompt at a position of an inbox."""
    assert len(position) == 3
    priority, deadline, prompt_id = position
    return -priority, datetime.fromisoformat(deadline) if deadline else _NO_DEADLINE, prompt_id


class Snapshot:
    """The reading of one view."""

    __slots__ = ("_frontier", "_is_reading", "ahead")

    def __init__(self) -> None:
        self._frontier: Urgency | None = _START
        """Up to where the prompts have been read; None: all of them."""
        self._is_reading = False
        self.ahead: dict[str, Prompt] = {}
        """Prompts beyond the frontier that changed while a page was being read."""

    def start(self) -> None:
        """Nothing has been read. `ahead` must be empty."""
        self._frontier, self._is_reading = _START, False

    def finish(self) -> None:
        """Nothing has to be read."""
        self._frontier, self._is_reading = None, False

    def expect_page(self) -> None:
        """The page after the frontier is being read."""
        self._is_reading = True

    def advance(self, end: PromptPosition | None) -> None:
        """The page after the frontier is there. It ends at a position; None: there are no more pages."""
        self._frontier, self._is_reading = None if end is None else urgency_at(end), False

    def is_unread(self, prompt: Prompt) -> bool:
        """Whether a page that is not there yet has the prompt, if the prompt stays as it is."""
        return self._frontier is not None and urgency(prompt) > self._frontier

    def pass_by(self, prompt: Prompt) -> None:
        """Keep an unread prompt if the page on its way may have missed it."""
        if self._is_reading:
            self.ahead[prompt.prompt_id] = prompt
