"""Feeds a PromptView: attach first, then the snapshot or what changed since a token, then live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from askback_server.engine.committed import Committed
from askback_server.feed.feed import Feed
from askback_server.feed.missed import missed
from askback_server.feed.tokens import Refusal, ResumeTokens, view_digest
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import FeedStore, JobStore, Position
from askback_server.sessions.admission import Admission
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
        account: Account,
        changed: asyncio.Event,
    ) -> None:
        self._view = view
        self._feed = feed
        self._log = log
        self._jobs = jobs
        self._tokens = tokens
        self._reading = partial(admission.view, account.subject)
        self._account = account
        self._pages: list[Callable[[], None]] = []
        """What gives the room back that was reserved for pages that are not written yet."""
        self._changed = changed
        self._taken = asyncio.Event()
        self._turn = asyncio.Lock()
        """Only one of what loads or looks again does so at a time."""
        self._looks = 0
        """Changes of access that have not been looked at whole."""
        self._digest = digest_of_view(view.filter)
        self._made: tuple[Position, str] | None = None
        self._safe = feed.position
        """The view knows everything up to here, and all of it has been told."""
        self._stops: list[Callable[[], None]] = []

    def attach(self) -> None:
        """Follow the feed from now on."""
        self._safe = self._feed.position
        self._stops = [
            self._feed.follow(self._committed),
            self._feed.follow_position(self._moved),
        ]

    def detach(self) -> None:
        """Follow no more."""
        while self._stops:
            self._stops.pop()()
        self._give_back()

    def _committed(self, item: Committed) -> None:
        for prompt_id in item.lost:
            self._view.lose(prompt_id, item.job.version)
        if not item.lost and (not item.prompts or not self._view.filter.concerns(item.job)):
            return
        for prompt in item.prompts:
            self._view.offer(prompt)
        if self._view.has_news:
            self._changed.set()

    def written(self) -> None:
        """All that was taken of the view has been written: there may be room for more."""
        if self._has_room():
            self._give_back()
            self._taken.set()

    def _give_back(self) -> None:
        while self._pages:
            self._pages.pop()()

    def _has_room(self) -> bool:
        prompts, size = self._view.waiting
        return prompts < PAGE and size < PAGE_BYTES // 4

    async def look_through(self, filter: PromptFilter) -> None:
        """Show what another filter lets through: the console's access has changed."""
        view = self._view
        # At once: what is committed meanwhile is judged by it, and no token is given until all is told.
        view.look_through(filter)
        self._digest, self._made = digest_of_view(filter), None
        self._looks += 1
        async with self._turn:
            known = view.known
            if known is None:
                view.reset("your access has changed")
            for start in range(0, len(known or ()), PAGE):
                async with self._reading():
                    for prompt in await self._jobs.get_prompts(known[start : start + PAGE]):  # type: ignore[index]
                        view.judge(prompt)
                self._changed.set()
            await self._snapshot()
            self._looks -= 1
            self._loaded()
        self._changed.set()

    def _loaded(self, open_prompts: int = 0) -> None:
        if not self._looks:  # else another look follows, and only then is all told
            self._view.loaded(open_prompts)

    def _moved(self, position: Position) -> None:
        # A token must never pass what was not told: it moves only while nothing waits.
        if self._view.is_settled:
            self._safe = position

    @property
    def token(self) -> str:
        """Resume here: a feed position, never a shortcut's."""
        self._moved(self._feed.position)  # it may have moved last before all was told
        if self._made is None or self._made[0] != self._safe:
            self._made = (self._safe, self._tokens.make(self._safe, self._digest))
        return self._made[1]

    async def load(self, resume_token: str) -> None:
        """Bring the view up to date, from a token if it can be honoured."""
        async with self._turn:
            await self._load(resume_token)
        self._changed.set()

    async def _load(self, resume_token: str) -> None:
        if resume_token:
            self._view.resume()
            async with self._reading():
                refusal = await self._resume(resume_token)
                if refusal is None:
                    counted = await self._jobs.list_prompts(self._view.filter, 1, None, 1)
                    self._loaded(counted.total)
                    return
            self._view.reset(refusal.reason, refusal.history_lost)
        await self._snapshot()
        self._loaded()

    async def _resume(self, resume_token: str) -> Refusal | None:
        position = self._tokens.read(resume_token, self._digest)
        if isinstance(position, Refusal):
            return position
        changed = await missed(self._log, position)
        if isinstance(changed, Refusal):
            return changed
        ids = sorted({p for c in changed if c.namespace == self._view.filter.namespace for p in c.prompt_ids})
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            prompts = await self._jobs.get_prompts(page)
            if len(prompts) < len(page):
                return Refusal(
                    "jobs were deleted since the resume token, with prompts that it may have shown"
                )
            for prompt in prompts:
                self._view.offer(prompt)
            self._changed.set()
        return None

    async def _snapshot(self) -> None:
        after, more = None, True
        while more:
            # Pages come by urgency: the next one can wait until the console has taken most of this one.
            while not self._has_room():
                self._taken.clear()
                await self._taken.wait()
            self._pages.append(await self._account.reserve(PAGE_BYTES))
            after = await self._read_page(after)
            self._changed.set()
            more = after is not None

    async def _read_page(self, after: Any) -> Any:
        """Offer the page after a position to the view, and return the next position, if there is one.

        A function of its own: `_snapshot` must not keep a page while it waits for room for the next one.
        """
        async with self._reading():
            page = await self._jobs.list_prompts(self._view.filter, PAGE, after, PAGE_BYTES)
            for prompt in page.prompts:
                self._view.offer(prompt)
        return page.next


def digest_of_view(filter: PromptFilter) -> str:
    """What a resume token is bound to."""
    viewer = filter.viewer
    labels = sorted(filter.labels.items()) + sorted(filter.any_labels.items())
    return view_digest(
        filter.namespace, viewer and viewer.subject, viewer and sorted(viewer.groups), filter.job_types,
        filter.kinds, labels, filter.groups, filter.job_id,
    )  # fmt: skip
