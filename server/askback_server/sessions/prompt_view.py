"""One console's view of the open prompts: commits in, the fewest and newest events out.

Pure. The view stores the sent version and the newest pending change of each prompt, never a history. So a
slow console receives fewer and fresher events, and no prompt that is already closed.

The open prompts are read page by page, in their order, when the console can take them. So a view has only
prompts that the console has, and the next ones.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable

from askback_server.domain.prompts import Prompt
from askback_server.ports.queries import PromptFilter, PromptPosition
from askback_server.sessions.frames import Bookmark, CaughtUp, Closed, PromptEvent, Removed, Reset, Upserted
from askback_server.sessions.images import ViewImages
from askback_server.sessions.snapshot import Snapshot, urgency
from askback_server.sessions.tombstones import Tombstones

UNKNOWN = -1
"""The number of open prompts of a resumed console: it has some that this view never sent."""
MAX_TAKE_BYTES = 512 * 1024
"""Maximum bytes of prompts per `take`, unless a single prompt is larger."""


class PromptView:
    """The state of one view. `credit` None stands for no limit."""

    def __init__(self, filter: PromptFilter, credit: int | None = None) -> None:
        self.filter = filter
        self.credit = credit
        self._images: ViewImages | None = None
        """Counts the prompts that are pending or being written, except those of pages."""
        self._writing: list[Prompt] = []
        """Prompts returned by the last `take`, until they are written."""
        self._sent: dict[str, int] = {}
        """Versions of the prompts that the console has; 0 for those from an earlier stream."""
        self._pending: dict[str, Prompt] = {}
        """Prompts to be sent."""
        self._snapshot = Snapshot()
        self._removals: OrderedDict[str, PromptEvent] = OrderedDict()
        """Closings and removals to be sent."""
        self._tombstones = Tombstones()
        self._resumed = False
        self._first: Reset | Bookmark | None = None
        """To be sent before anything else."""
        self._loaded = False
        self.caught_up = False
        """Whether everything that matched at the start has been sent. No resume token may be issued
        before."""

    @property
    def waiting(self) -> tuple[int, int]:
        """The number of prompts to be sent, and roughly their bytes."""
        return len(self._pending), sum(p.content.size for p in self._pending.values())

    @property
    def is_being_written(self) -> bool:
        """Whether prompts returned by `take` are not written yet."""
        return bool(self._writing)

    @property
    def is_settled(self) -> bool:
        """Whether everything has been sent."""
        return self.caught_up and not self._pending and not self._removals

    @property
    def has_news(self) -> bool:
        """Whether `take` would return an event."""
        if self._is_resuming:
            return False
        if self._first or self._removals or (self._pending and self.credit != 0):
            return True
        return self._loaded and not self.caught_up and not self._pending

    @property
    def _is_resuming(self) -> bool:
        """Whether it is still unknown if the console's token can be honoured. Until then nothing is sent,
        because a Reset must come first."""
        return self._resumed and not self._loaded

    def offer(self, prompt: Prompt, *, counted: bool = True) -> None:
        """Take a prompt at some version, from any source; older versions are ignored.

        With `counted` False, memory is already reserved for it, as for prompts of a page. Otherwise the view
        may fall behind.
        """
        self._offer(prompt)
        prompt_id = prompt.prompt_id
        waits = (self._pending.get(prompt_id) or self._snapshot.ahead.get(prompt_id)) is prompt or (
            isinstance(removal := self._removals.get(prompt_id), Closed) and removal.prompt is prompt
        )
        if counted and waits and self._images is not None:
            self._images.keep(prompt)

    @property
    def room(self) -> int | None:
        """How many more prompts the console could take than wait for it; None stands for no limit."""
        return None if self.credit is None else self.credit - len(self._pending)

    def _start_reading(self) -> None:
        """The open prompts must be read from the beginning."""
        self._loaded = self.caught_up = False
        self._take_ahead()
        self._snapshot.start()

    def expect_page(self) -> None:
        """The next page of open prompts is being read."""
        self._snapshot.expect_page()

    def add_page(self, prompts: Iterable[Prompt], end: PromptPosition | None) -> None:
        """Add the next page, which ends at a position; None: there are no more pages."""
        self._snapshot.advance(end)
        for prompt in prompts:
            self.offer(prompt, counted=False)
        for prompt in self._take_ahead():
            self.offer(prompt)

    def _take_ahead(self) -> list[Prompt]:
        ahead, self._snapshot.ahead = list(self._snapshot.ahead.values()), {}
        for prompt in ahead:
            self._release(prompt)
        return ahead

    def charge_to(self, images: ViewImages | None) -> None:
        """Count pending prompts in `images` from now on; None ends that."""
        self._images = images

    def _offer(self, prompt: Prompt) -> None:
        prompt_id, version = prompt.prompt_id, prompt.version
        pending = self._pending.get(prompt_id) or self._snapshot.ahead.get(prompt_id)
        ended = self._tombstones.version_of(prompt_id)
        if version <= self._sent.get(prompt_id, 0) or version <= ended:
            return
        if pending is not None and version <= pending.version:
            return
        if prompt.is_open and self.filter.matches(prompt):
            if pending is not None or prompt_id in self._removals:
                self._forget(prompt_id)
            if prompt_id not in self._sent and self._snapshot.is_unread(prompt):
                self._snapshot.pass_by(prompt)
            else:
                self._pending[prompt_id] = prompt
                if ended:
                    self._tombstones.discard(prompt_id)
            return
        self._forget(prompt_id)
        if prompt_id not in self._sent:
            if ended or not self._may_be_shown(prompt):
                self._tombstones.add(prompt_id, version, is_open=prompt.is_open)
                return
            self._sent[prompt_id] = 0
        self._tombstones.add(prompt_id, version, is_open=prompt.is_open)
        if prompt.is_open:
            self._removals[prompt_id] = Removed(prompt_id, version)
        elif self._may_know(prompt):
            self._removals[prompt_id] = Closed(prompt)
        else:
            self._removals[prompt_id] = Removed(prompt_id, version)

    def _forget(self, prompt_id: str) -> None:
        """Drop the pending event of a prompt."""
        self._drop_image(prompt_id)
        removal = self._removals.pop(prompt_id, None)
        if isinstance(removal, Closed):
            self._release(removal.prompt)

    def _drop_image(self, prompt_id: str) -> None:
        self._release(self._pending.pop(prompt_id, None))
        self._release(self._snapshot.ahead.pop(prompt_id, None))

    def _release(self, prompt: Prompt | None) -> None:
        if prompt is not None and self._images is not None:
            self._images.release(prompt)

    def remove(self, prompt_id: str, version: int | None = None) -> None:
        """Remove a prompt whose job was deleted; how it ended is unknown. Without a version, one above the
        sent version is used."""
        self._drop_image(prompt_id)
        if version is None:
            version = self._sent.get(prompt_id, 0) + 1
        if prompt_id in self._sent:
            self._removals.setdefault(prompt_id, Removed(prompt_id, version))
        self._tombstones.add(prompt_id, version)

    def fall_behind(self) -> None:
        """Discard all pending events.

        Then the follower must `recheck` each of `sent_ids`, `remove` those that no longer exist, read all
        pages, and call `finish_load`.
        """
        self._start_reading()
        self._tombstones.lower(self._removals)
        for prompt_id in (*self._removals, *self._pending):
            self._forget(prompt_id)

    def _may_be_shown(self, prompt: Prompt) -> bool:
        """Whether a resumed console may have a prompt that this view never sent: then its end must be sent.

        Of a prompt that cannot have been in the view not even the id is sent. Only an amendment, or an
        escalation step that replaces the audience, removes an open prompt from a view.
        """
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
        """Whether the console may see how a prompt ended: not if it has left the prompt's audience."""
        viewer = self.filter.viewer
        return viewer is None or prompt.is_for(viewer)

    def change_filter(self, filter: PromptFilter, void: str) -> None:
        """Apply another filter from now on. The follower then proceeds as after `fall_behind`.

        `void`, a token that is refused, first replaces the console's: that one does not cover what follows,
        and would be honoured if the filter came back.
        """
        self.filter = filter
        self._first = self._first or Bookmark(void)
        self._start_reading()
        self._tombstones.forget_hidden()
        hidden = [i for i, p in self._pending.items() if i not in self._sent or not filter.matches(p)]
        for prompt_id in hidden:
            self._release(self._pending.pop(prompt_id))

    @property
    def sent_ids(self) -> list[str] | None:
        """The ids of the prompts that the console has; None if it may have more from an earlier stream."""
        return None if self._resumed else [i for i in self._sent if i not in self._removals]

    def recheck(self, prompt: Prompt) -> None:
        """Remove a prompt that the filter hides now; otherwise offer it, unless a newer version has come
        meanwhile. A removed prompt may come back at the same version."""
        prompt_id = prompt.prompt_id
        pending = self._pending.get(prompt_id)
        if prompt.version < max(self._sent.get(prompt_id, 0), pending.version if pending is not None else 0):
            return
        if prompt_id in self._sent and prompt_id not in self._removals and not self.filter.matches(prompt):
            self._release(self._pending.pop(prompt_id, None))
            self._removals[prompt_id] = Removed(prompt_id, prompt.version)
            self._sent[prompt_id] = 0
        else:
            self.offer(prompt, counted=False)

    def resume(self) -> None:
        """The console still has what an earlier stream sent: no pages are read."""
        self._resumed = True
        self._snapshot.finish()

    def reset(self, reason: str, history_lost: bool = False) -> None:
        """Tell the console to discard everything, including what this view sent."""
        self._first = Reset(reason, history_lost)
        self._resumed = False
        self._start_reading()
        for prompt_id in tuple(self._removals):
            removal = self._removals.pop(prompt_id)
            if isinstance(removal, Closed):
                self._release(removal.prompt)
        self._sent.clear()

    def finish_load(self) -> None:
        """Mark the snapshot, or the resume, as complete."""
        self._loaded = True

    def give_credit(self, prompts: int, maximum: int) -> None:
        """Add credit, up to `maximum`."""
        if self.credit is not None:
            self.credit = min(self.credit + prompts, maximum)

    def take(self, limit: int, token: Callable[[], str]) -> list[PromptEvent]:
        """Take the next events. `token` returns the position up to which the view is complete."""
        self.note_written()
        events: list[PromptEvent] = []
        if self._is_resuming:
            return events
        if self._first:
            events.append(self._first)
            self._first = None
        size = 0
        while self._removals and len(events) < limit and size < MAX_TAKE_BYTES:
            prompt_id, event = self._removals.popitem(last=False)
            del self._sent[prompt_id]
            events.append(event)
            if isinstance(event, Closed):
                self._writing.append(event.prompt)
                size += event.prompt.content.size
        room = limit - len(events)
        if self.credit is not None:
            room = min(room, self.credit)
        if room > 0 and self._pending:
            for prompt in heapq.nsmallest(room, self._pending.values(), key=urgency):
                if size >= MAX_TAKE_BYTES:
                    break
                del self._pending[prompt.prompt_id]
                self._writing.append(prompt)
                size += prompt.content.size
                self._sent[prompt.prompt_id] = prompt.version
                events.append(Upserted(prompt))
                if self.credit is not None:
                    self.credit -= 1
        if self._loaded and not self.caught_up and not self._pending and len(events) < limit:
            self.caught_up = True
            events.append(CaughtUp(token(), UNKNOWN if self._resumed else len(self._sent)))
        return events

    def note_written(self) -> None:
        """Note that all events taken have been written."""
        for prompt in self._writing:
            self._release(prompt)
        self._writing.clear()
