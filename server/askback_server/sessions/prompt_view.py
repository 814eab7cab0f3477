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
from askback_server.sessions.images import ViewImages

TOMBSTONES = 4_096
"""Closed prompts remembered, so that an old image that comes late shows nobody a closed prompt."""
TAKE_BYTES = 512 * 1024
"""What is given to be written at once, unless a single prompt is larger."""
_FAR = datetime(9999, 12, 31, tzinfo=UTC)


def urgency(prompt: Prompt) -> tuple[int, datetime, str]:
    """Sorts prompts by priority, deadline and age."""
    return -prompt.content.priority, prompt.expires_at or _FAR, prompt.prompt_id


class PromptView:
    """What to tell a console next. `credit` None: as much as the stream takes."""

    def __init__(self, filter: PromptFilter, credit: int | None = None) -> None:
        self.filter = filter
        self.credit = credit
        self.images: ViewImages | None = None
        """Counts the prompts that wait to be told or are being written, apart from those of pages."""
        self._writing: list[Prompt] = []
        """What `take` gave last, until it is written."""
        self._told: dict[str, int] = {}
        """What the console has until it is taken away, with the versions; 0: from an earlier stream."""
        self._fresh: dict[str, Prompt] = {}
        """To be shown."""
        self._gone: OrderedDict[str, PromptEvent] = OrderedDict()
        """To be taken away."""
        self._tombs: OrderedDict[str, int] = OrderedDict()
        self._hidden: set[str] = set()
        """Those of the tombs that are open: another filter may let them through."""
        self._resumed = False
        self._known_before = 0
        """Open prompts that a resumed console has and that this view never showed."""
        self._reset: Reset | None = None
        self._loaded = False
        self.caught_up = False
        """Whether all that matched at the start has been told: no position may be named before."""

    @property
    def waiting(self) -> tuple[int, int]:
        """Prompts that are to be shown, and roughly their bytes."""
        return len(self._fresh), sum(p.content.size for p in self._fresh.values())

    @property
    def is_being_written(self) -> bool:
        """Whether prompts that `take` gave may not be written yet."""
        return bool(self._writing)

    @property
    def is_settled(self) -> bool:
        """Whether all that is known has been told."""
        return self.caught_up and not self._fresh and not self._gone

    @property
    def has_news(self) -> bool:
        """Whether `take` would give something."""
        if self._is_undecided:
            return False
        if self._reset or self._gone or (self._fresh and self.credit != 0):
            return True
        return self._loaded and not self.caught_up and not self._fresh

    @property
    def _is_undecided(self) -> bool:
        """Whether it is not known yet if the console's token can be honoured. Till then it is told nothing,
        not even what is new: a Reset comes first."""
        return self._resumed and not self._loaded

    def offer(self, prompt: Prompt, *, counted: bool = True) -> None:
        """A prompt as it was at its version, from wherever: older images change nothing. Those of a page, for
        which there is room, are not to be counted. The view may fall behind by it."""
        self._offer(prompt)
        waits = self._fresh.get(prompt.prompt_id) is prompt or (
            isinstance(gone := self._gone.get(prompt.prompt_id), Closed) and gone.prompt is prompt
        )
        if counted and waits and self.images is not None:
            self.images.keep(prompt)

    def _offer(self, prompt: Prompt) -> None:
        prompt_id, version = prompt.prompt_id, prompt.version
        pending = self._fresh.get(prompt_id)
        newest = max(
            self._told.get(prompt_id, 0), self._tombs.get(prompt_id, 0), pending.version if pending else 0
        )
        if version <= newest:
            return
        if prompt.is_open and self.filter.matches(prompt):
            self._forget(prompt_id)
            self._fresh[prompt_id] = prompt
            self._tombs.pop(prompt_id, None)
            return
        self._forget(prompt_id)
        if prompt_id not in self._told:
            if prompt_id in self._tombs or not self._may_be_known(prompt):
                self._bury(prompt_id, version, is_open=prompt.is_open)
                return
            self._known_before = max(0, self._known_before - 1)
            self._told[prompt_id] = 0
        self._bury(prompt_id, version, is_open=prompt.is_open)
        if prompt.is_open:
            self._gone[prompt_id] = Removed(prompt_id, version)
        elif self._may_know(prompt):
            self._gone[prompt_id] = Closed(prompt)
        else:
            self._gone[prompt_id] = Removed(prompt_id, version)

    def _forget(self, prompt_id: str) -> None:
        """What waits to be told of a prompt is not to be told any more."""
        self._let_go(self._fresh.pop(prompt_id, None))
        gone = self._gone.pop(prompt_id, None)
        if isinstance(gone, Closed):
            self._let_go(gone.prompt)

    def _let_go(self, prompt: Prompt | None) -> None:
        if prompt is not None and self.images is not None:
            self.images.let_go(prompt)

    def lose(self, prompt_id: str, version: int | None = None) -> None:
        """A prompt is gone with its job, and how it ended is not known any more. Without a version: with
        one above what was told."""
        self._let_go(self._fresh.pop(prompt_id, None))
        if version is None:
            version = self._told.get(prompt_id, 0) + 1
        if prompt_id in self._told:
            self._gone.setdefault(prompt_id, Removed(prompt_id, version))
        self._bury(prompt_id, version)

    def fall_behind(self) -> None:
        """Forget all that waits to be told. Then `judge` each of the `known` prompts as it is now, `lose`
        those that are gone, offer what matches, and call `loaded`."""
        self._loaded = self.caught_up = False
        for prompt_id in self._gone.keys() & self._tombs.keys():
            self._tombs[prompt_id] -= 1  # the same image will be news, and older ones never
        for prompt_id in (*self._gone, *self._fresh):
            self._forget(prompt_id)

    def _may_be_known(self, prompt: Prompt) -> bool:
        """Whether a resumed console may have what this view never showed: then its end must be told
        too. What cannot have been in the view is not told, not even its id; only an amendment, or a step
        that puts others in the place of those who were asked, takes a prompt out of it."""
        if not self._resumed:
            return False
        if self.filter.matches(prompt):
            return True
        return (
            prompt.is_turned_away
            and prompt.namespace == self.filter.namespace
            and (not self.filter.job_id or prompt.job_id == self.filter.job_id)
            and (not self.filter.job_types or prompt.job_type in self.filter.job_types)
        )

    def _may_know(self, prompt: Prompt) -> bool:
        """Who lost sight of a prompt by another audience must not be told how it ended."""
        viewer = self.filter.viewer
        return viewer is None or prompt.is_for(viewer)

    def _bury(self, prompt_id: str, version: int, *, is_open: bool = False) -> None:
        self._tombs[prompt_id] = version
        self._tombs.move_to_end(prompt_id)
        (self._hidden.add if is_open else self._hidden.discard)(prompt_id)
        if len(self._tombs) > TOMBSTONES:
            oldest, _ = self._tombs.popitem(last=False)
            self._hidden.discard(oldest)

    def look_through(self, filter: PromptFilter) -> None:
        """Show what another filter lets through, from now on. `judge` then each of the `known` prompts as it
        is now, offer what matches, and call `loaded`."""
        self.filter = filter
        self._loaded = self.caught_up = False
        for prompt_id in self._hidden:
            self._tombs.pop(prompt_id, None)
        self._hidden.clear()
        for prompt_id in [i for i, p in self._fresh.items() if not filter.matches(p)]:
            self._let_go(self._fresh.pop(prompt_id))

    @property
    def known(self) -> list[str] | None:
        """The ids of the prompts that the console has; None if it may have more from an earlier stream."""
        return None if self._resumed else [i for i in self._told if i not in self._gone]

    def judge(self, prompt: Prompt) -> None:
        """Take a prompt away that the filter hides now. It may come back as it is."""
        prompt_id = prompt.prompt_id
        if prompt_id in self._told and prompt_id not in self._gone and not self.filter.matches(prompt):
            self._let_go(self._fresh.pop(prompt_id, None))
            self._gone[prompt_id] = Removed(prompt_id, prompt.version)
            self._told[prompt_id] = 0
        else:
            self.offer(prompt, counted=False)

    def resume(self) -> None:
        """The console has what an earlier stream showed it."""
        self._resumed = True

    def reset(self, reason: str, history_lost: bool = False) -> None:
        """The console must forget what it has, also what this view showed it."""
        self._reset = Reset(reason, history_lost)
        self._resumed = False
        for prompt_id in tuple(self._gone):
            gone = self._gone.pop(prompt_id)
            if isinstance(gone, Closed):
                self._let_go(gone.prompt)
        self._told.clear()

    def finish_load(self, open_prompts: int = 0) -> None:
        """The snapshot, or the catching up, has been offered whole. After a resume `open_prompts` is
        how many match in all."""
        self._loaded = True
        known = (self._told.keys() - self._gone.keys()) | self._fresh.keys()
        self._known_before = max(0, open_prompts - len(known))

    def give_credit(self, prompts: int, most: int) -> None:
        """So many more prompts may be shown."""
        if self.credit is not None:
            self.credit = min(self.credit + prompts, most)

    def take(self, limit: int, token: str) -> list[PromptEvent]:
        """The next events. `token` is the position from which all is known to this view."""
        self.note_written()
        events: list[PromptEvent] = []
        if self._is_undecided:
            return events
        if self._reset:
            events.append(self._reset)
            self._reset = None
        size = 0
        while self._gone and len(events) < limit and size < TAKE_BYTES:
            prompt_id, event = self._gone.popitem(last=False)
            del self._told[prompt_id]
            events.append(event)
            if isinstance(event, Closed):
                self._writing.append(event.prompt)
                size += event.prompt.content.size
        room = limit - len(events)
        if self.credit is not None:
            room = min(room, self.credit)
        if room > 0 and self._fresh:
            for prompt in heapq.nsmallest(room, self._fresh.values(), key=urgency):
                if size >= TAKE_BYTES:
                    break
                del self._fresh[prompt.prompt_id]
                self._writing.append(prompt)
                size += prompt.content.size
                self._told[prompt.prompt_id] = prompt.version
                events.append(Upserted(prompt))
                if self.credit is not None:
                    self.credit -= 1
        if self._loaded and not self.caught_up and not self._fresh and len(events) < limit:
            self.caught_up = True
            events.append(CaughtUp(token, len(self._told) + self._known_before))
        return events

    def note_written(self) -> None:
        """All that was taken has been written."""
        for prompt in self._writing:
            self._let_go(prompt)
        self._writing.clear()
