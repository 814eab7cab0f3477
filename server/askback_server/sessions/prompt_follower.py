"""Feeds a PromptView: attach first, then the snapshot or what changed since a token, then live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from askback_server.engine.committed import Committed
from askback_server.feed.feed import Feed
from askback_server.feed.missed import read_missed
from askback_server.feed.tokens import Refusal, ResumeTokens, hash_parts
from askback_server.ports.queries import PromptFilter, PromptPosition
from askback_server.ports.storage import FeedStore, JobStore, Position
from askback_server.sessions.admission import Admission
from askback_server.sessions.images import Images
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.unsent import Account

PAGE = 500
PAGE_BYTES = 512 * 1024


class PromptFollower:
    """Between the feed and one view. `changed` is set whenever the view may have news."""

    def __init__(
        self,
        view: PromptView,
        feed: Feed,
        log: FeedStore,
        jobs: JobStore,
        tokens: ResumeTokens,
        admission: Admission,
        images: Images,
        account: Account,
        changed: asyncio.Event,
    ) -> None:
        self._view = view
        self._feed = feed
        self._log = log
        self._jobs = jobs
        self._tokens = tokens
        self._reading = partial(admission.view, account.subject)
        self._images = images
        self._account = account
        self._pages: list[Callable[[], None]] = []
        """What gives the room back that was reserved for pages that are not written yet."""
        self._changed = changed
        self._taken = asyncio.Event()
        self._again = asyncio.Event()
        """Set when the view is to be read once more, whole: to load it, because the console's access has
        changed, or because it fell behind."""
        self._why = ""
        self._digest = digest_view(view.filter)
        self._made: tuple[Position, str] | None = None
        self._safe = feed.position
        """The view knows everything up to here, and all of it has been told."""
        self._stops: list[Callable[[], None]] = []

    def attach(self) -> None:
        """Follow the feed from now on."""
        self._safe = self._feed.position
        self._view.images = images = self._images.of_view(self._account, self._fall_behind)
        self._stops = [
            self._feed.follow(self._on_commit),
            self._feed.follow_position(self._advance),
            images.close,
        ]

    def detach(self) -> None:
        """Follow no more."""
        while self._stops:
            self._stops.pop()()
        self._view.images = None
        self._give_back()

    def _on_commit(self, item: Committed) -> None:
        for prompt_id in item.lost:
            self._view.lose(prompt_id, item.job.version)
        if not item.lost and (not item.prompts or not self._view.filter.concerns(item.job)):
            return
        for prompt in item.prompts:
            self._view.offer(prompt)
        if self._view.has_news:
            self._changed.set()

    def _fall_behind(self) -> None:
        """More changes wait than may be kept: forget them, and read the view again when there is room."""
        self._view.fall_behind()
        self._read_again("you read too slowly: more has changed than is kept for you")

    def _read_again(self, why: str) -> None:
        self._why = why
        self._again.set()

    def note_written(self) -> None:
        """All that was taken of the view has been written: there may be room for more."""
        self._view.note_written()
        if self._has_room():
            self._give_back()
        self._taken.set()

    def _give_back(self) -> None:
        while self._pages:
            self._pages.pop()()

    def _has_room(self) -> bool:
        prompts, size = self._view.waiting
        return prompts < PAGE and size < PAGE_BYTES // 4

    def look_through(self, filter: PromptFilter) -> None:
        """Show what another filter lets through: the console's access has changed."""
        # At once: what is committed meanwhile is judged by it, and no token is given until all is told.
        self._view.look_through(filter)
        self._digest, self._made = digest_view(filter), None
        self._read_again("your access has changed")

    def _advance(self, position: Position) -> None:
        # A token must never pass what was not told: it moves only while nothing waits.
        if self._view.is_settled:
            self._safe = position

    @property
    def token(self) -> str:
        """Resume here: a feed position, never a shortcut's."""
        self._advance(self._feed.position)  # it may have moved last before all was told
        if self._made is None or self._made[0] != self._safe:
            self._made = (self._safe, self._tokens.make(self._safe, self._digest))
        return self._made[1]

    async def follow(self, resume_token: str) -> None:
        """Bring the view up to date, from a token if it can be honoured, and again whenever it falls behind
        or its filter changes, until cancelled."""
        await self.load(resume_token)
        while True:
            await self._again.wait()
            await self._look_again()

    async def load(self, resume_token: str) -> None:
        """Bring the view up to date, from a token if it can be honoured."""
        if resume_token:
            self._view.resume()
            async with self._reading():
                refusal = await self._resume(resume_token)
                if refusal is None:
                    counted = await self._jobs.list_prompts(self._view.filter, 1, None, 1)
                    self._finish_load(counted.total)
            if refusal is not None:
                self._view.reset(refusal.reason, refusal.history_lost)
        if not resume_token or refusal is not None:
            self._again.set()
        self._changed.set()
        while self._again.is_set():
            await self._look_again()

    def _finish_load(self, open_prompts: int = 0) -> None:
        if not self._again.is_set():  # else it is read again, and only then is all told
            self._view.finish_load(open_prompts)

    async def _resume(self, resume_token: str) -> Refusal | None:
        position = self._tokens.read(resume_token, self._digest)
        if isinstance(position, Refusal):
            return position
        changed = await read_missed(self._log, position)
        if isinstance(changed, Refusal):
            return changed
        ids = sorted({p for c in changed if c.namespace == self._view.filter.namespace for p in c.prompt_ids})
        at = 0
        while at < len(ids):
            prompts, count = await self._jobs.first_prompts(ids[at : at + PAGE], PAGE_BYTES)
            if len(prompts) < count:
                return Refusal(
                    "jobs were deleted since the resume token, with prompts that it may have shown"
                )
            for prompt in prompts:
                self._view.offer(prompt)
            if self._again.is_set():
                return Refusal("too much changed since the resume token")
            self._changed.set()
            at += count
        return None

    async def _look_again(self) -> None:
        """Read the whole view: what the console has, as it is now, and then what matches."""
        view = self._view
        while view.is_being_written:  # who does not read what is written needs no more
            self._taken.clear()
            await self._taken.wait()
        self._again.clear()
        position = self._feed.position  # what follows has all up to here
        known = view.known
        if known is None:
            view.reset(self._why)
        at = 0
        while at < len(known or ()) and not self._again.is_set():
            async with self._page():
                at += await self._judge((known or [])[at : at + PAGE])
            self._changed.set()
        after: PromptPosition | None = None
        more = True
        while more and not self._again.is_set():
            async with self._page():
                after = await self._read_page(after)
            self._changed.set()
            more = after is not None
        if not self._again.is_set():
            self._safe = position  # no token is given before all is told
        self._finish_load()
        self._changed.set()

    @asynccontextmanager
    async def _page(self) -> AsyncIterator[None]:
        """Room for a page, when the console has taken most of the one before, and a turn to read it."""
        while not self._has_room():
            self._taken.clear()
            await self._taken.wait()
        self._pages.append(await self._account.reserve(PAGE_BYTES))
        async with self._reading():
            yield

    async def _judge(self, ids: list[str]) -> int:
        """Show the view what became of the first of these prompts; returns of how many."""
        prompts, count = await self._jobs.first_prompts(ids, PAGE_BYTES)
        for prompt in prompts:
            self._view.judge(prompt)
        for prompt_id in set(ids[:count]) - {p.prompt_id for p in prompts}:
            self._view.lose(prompt_id)
        return count

    async def _read_page(self, after: PromptPosition | None) -> PromptPosition | None:
        """Offer the page after a position to the view, and return the next position, if there is one.

        This and `_judge` are functions: nothing may keep a page while it waits for room for the next one.
        """
        page = await self._jobs.list_prompts(self._view.filter, PAGE, after, PAGE_BYTES)
        for prompt in page.prompts:
            self._view.offer(prompt, counted=False)
        return page.next


def digest_view(filter: PromptFilter) -> str:
    """What a resume token is bound to."""
    viewer = filter.viewer
    labels = sorted(filter.labels.items()) + sorted(filter.any_labels.items())
    return hash_parts(
        filter.namespace,
        viewer and viewer.subject,
        viewer and sorted(viewer.groups),
        filter.job_types,
        filter.kinds,
        labels,
        filter.groups,
        filter.job_id,
    )
