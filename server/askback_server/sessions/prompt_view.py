"""One console's view of the open prompts: commits in, the fewest and freshest events out.

Pure. It holds what the console was told and what changed since, by prompt: never a queue of history.
So a slow console sees fewer, fresher prompts, and never one that is already closed.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from datetime import UTC, datetime

from askback_server.domain.prompts import Prompt
from askback_server.ports.queries import PromptFilter
from askback_server.sessions.frames import CaughtUp, Closed, PromptEvent, Removed, Reset, Upserted

TOMBSTONES = 4_096
"""Closed prompts remembered, so that an old image that comes late shows nobody a closed prompt."""
_FAR = datetime(9999, 12, 31, tzinfo=UTC)


def urgency(prompt: Prompt) -> tuple[int, datetime, str]:
    """Sorts prompts by priority, deadline and age."""
    return -prompt.content.priority, prompt.expires_at or _FAR, prompt.prompt_id


class PromptView:
    """What to tell a console next. `credit` None: as much as the stream takes."""

    def __init__(self, filter: PromptFilter, credit: int | None = None) -> None:
        self.filter = filter
        self.credit = credit
        self._told: dict[str, int] = {}
        """Open prompts as the console has them, with their versions."""
        self._fresh: dict[str, Prompt] = {}
        """To be shown."""
        self._gone: OrderedDict[str, PromptEvent] = OrderedDict()
        """To be taken away."""
        self._tombs: OrderedDict[str, int] = OrderedDict()
        self._reset = ""
        self._loaded = False
        self._caught_up = False

    @property
    def is_settled(self) -> bool:
        """Whether all that is known has been told."""
        return self._caught_up and not self._fresh and not self._gone

    @property
    def has_news(self) -> bool:
        """Whether `take` would give something."""
        if self._reset or self._gone or (self._fresh and self.credit != 0):
            return True
        return self._loaded and not self._caught_up and not self._fresh

    def offer(self, prompt: Prompt, *, known_to_console: bool = False) -> None:
        """A prompt as it was at its version, from wherever: older images change nothing.

        `known_to_console`: it may have been shown before this view began (a resumed stream), so
        its end must be told too.
        """
        prompt_id, version = prompt.prompt_id, prompt.version
        pending = self._fresh.get(prompt_id)
        newest = max(
            self._told.get(prompt_id, 0), self._tombs.get(prompt_id, 0), pending.version if pending else 0
        )
        if version <= newest:
            return
        if prompt.is_open and self.filter.matches(prompt):
            self._fresh[prompt_id] = prompt
            self._gone.pop(prompt_id, None)
            self._tombs.pop(prompt_id, None)
            return
        if known_to_console and prompt.revision == 1 and not self.filter.matches(prompt):
            return  # never was in this view, so not even its id is told
        self._fresh.pop(prompt_id, None)
        self._bury(prompt_id, version)
        if self._told.pop(prompt_id, None) is None and prompt_id not in self._gone and not known_to_console:
            return
        if prompt.is_open:
            self._gone[prompt_id] = Removed(prompt_id, version)
        elif self._may_know(prompt):
            self._gone[prompt_id] = Closed(prompt)
        else:
            self._gone[prompt_id] = Removed(prompt_id, version)

    def _may_know(self, prompt: Prompt) -> bool:
        """Who lost sight of a prompt by an amended audience must not be told how it ended."""
        viewer = self.filter.viewer
        return viewer is None or prompt.is_for(viewer)

    def _bury(self, prompt_id: str, version: int) -> None:
        self._tombs[prompt_id] = version
        self._tombs.move_to_end(prompt_id)
        if len(self._tombs) > TOMBSTONES:
            self._tombs.popitem(last=False)

    def reset(self, reason: str) -> None:
        """The console must forget what it has."""
        self._reset = reason

    def loaded(self) -> None:
        """The snapshot, or the catching up, has been offered whole."""
        self._loaded = True

    def give_credit(self, prompts: int, most: int) -> None:
        """So many more prompts may be shown."""
        if self.credit is not None:
            self.credit = min(self.credit + prompts, most)

    def take(self, limit: int, token: str) -> list[PromptEvent]:
        """The next events. `token` is the position from which all is known to this view."""
        events: list[PromptEvent] = []
        if self._reset:
            events.append(Reset(self._reset))
            self._reset = ""
        while self._gone and len(events) < limit:
            events.append(self._gone.popitem(last=False)[1])
        room = limit - len(events)
        if self.credit is not None:
            room = min(room, self.credit)
        if room > 0 and self._fresh:
            for prompt in heapq.nsmallest(room, self._fresh.values(), key=urgency):
                del self._fresh[prompt.prompt_id]
                self._told[prompt.prompt_id] = prompt.version
                events.append(Upserted(prompt))
                if self.credit is not None:
                    self.credit -= 1
        if self._loaded and not self._caught_up and not self._fresh and len(events) < limit:
            self._caught_up = True
            events.append(CaughtUp(token, len(self._told)))
        return events
