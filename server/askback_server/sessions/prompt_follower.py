"""Keeps a `PromptView` up to date: first from a snapshot or a resume token, then live from the feed.

Following the feed starts before the first read, so no change is missed in between; the view ignores versions
that it already has. With a resume token it starts once the feed has reached the token's position.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from askback_server.engine.committed import ChangedPrompts
from askback_server.feed.feed import Feed
from askback_server.feed.missed import read_missed, refusal_of
from askback_server.feed.tokens import Refusal, ResumeTokens, hash_parts
from askback_server.ports.queries import PromptFilter, PromptPosition
from askback_server.ports.storage import FeedStore, JobStore, Position
from askback_server.sessions.admission import Admission
from askback_server.sessions.images import Images
from askback_server.sessions.memory_budget import Account
from askback_server.sessions.prompt_view import PromptView

PAGE_SIZE = 500
PAGE_BYTES = 512 * 1024


def _nothing() -> None:
    """Stop nothing."""


class PromptFollower:
    """Connects the feed with one view. `changed` is set whenever the view may have news."""

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
        """Functions that release the memory reserved for pages that are not written yet."""
        self._changed = changed
        self._written = asyncio.Event()
        self._reload = asyncio.Event()
        """Set when the whole view must be read: at the start, after the console's access has changed, or
        after the view fell behind."""
        self._reset_reason = ""
        self._digest = digest_view(view.filter)
        self._token_cache: tuple[Position, str] | None = None
        self._resume_position = feed.position
        """Everything up to this position is in the view and has been sent."""
        self._stops: list[Callable[[], None]] = []
        self._unfollow: Callable[[], None] = _nothing

    def _attach(self) -> None:
        """Start to follow the feed."""
        self._resume_position = self._feed.position
        images = self._images.of_view(self._account, self._fall_behind)
        self._view.charge_to(images)
        self._unfollow = self._feed.follow_prompts(self._view.filter, self._on_change)
        self._stops = [
            self._feed.follow_position(self._advance),
            images.close,
        ]

    def detach(self) -> None:
        """Stop following."""
        self._unfollow()
        self._unfollow = _nothing
        while self._stops:
            self._stops.pop()()
        self._view.charge_to(None)
        self._release_pages()

    def _on_change(self, changed: ChangedPrompts) -> None:
        for prompt_id in changed.lost:
            self._view.remove(prompt_id, changed.version)
        concerned = [prompt for prompt in changed.prompts if self._view.filter.concerns(prompt)]
        for prompt in concerned:
            self._view.offer(prompt)
        if (concerned or changed.lost) and self._view.has_news:
            self._changed.set()

    def _fall_behind(self) -> None:
        """Discard pending changes: there are too many. The view is read again when there is room."""
        self._view.fall_behind()
        self._request_reload("you read too slowly: more has changed than is kept for you")

    def _request_reload(self, why: str) -> None:
        self._reset_reason = why
        self._reload.set()

    def note_written(self) -> None:
        """Note that all events taken from the view have been written: there may be room for more."""
        self._view.note_written()
        if self._has_room():
            self._release_pages()
        self._written.set()

    def _release_pages(self) -> None:
        while self._pages:
            self._pages.pop()()

    def _has_room(self) -> bool:
        prompts, size = self._view.waiting
        return prompts < PAGE_SIZE and size < PAGE_BYTES // 4

    def change_filter(self, filter: PromptFilter) -> None:
        """Apply another filter, because the console's access has changed."""
        # Applied at once, so that it covers commits from now on. What was decided by the filter before is in
        # the read that follows. No token is issued until the view is read again.
        self._view.change_filter(filter)
        if self._stops:
            unfollow, self._unfollow = self._unfollow, self._feed.follow_prompts(filter, self._on_change)
            unfollow()
        self._digest, self._token_cache = digest_view(filter), None
        self._request_reload("your access has changed")

    def _advance(self, position: Position) -> None:
        # A token must not skip changes that were not sent: it advances only while none is pending.
        if self._view.is_settled:
            self._resume_position = position

    @property
    def token(self) -> str:
        """The token to resume from. Its position is always one of the log, never that of a local commit."""
        self._advance(self._feed.position)  # the position may have advanced before everything was sent
        if self._token_cache is None or self._token_cache[0] != self._resume_position:
            self._token_cache = (
                self._resume_position,
                self._tokens.make(self._resume_position, self._digest),
            )
        return self._token_cache[1]

    async def follow(self, resume_token: str) -> None:
        """Load the view, from a token if it can be honoured, and reload it when needed, until cancelled."""
        await self.load(resume_token)
        while True:
            await self._reload.wait()
            await self._reload_view()

    async def load(self, resume_token: str) -> None:
        """Load the view, from a token if it can be honoured."""
        position: Position | Refusal | None = None
        if resume_token:
            self._view.resume()
            position = await self._reach(resume_token)
        self._attach()
        if isinstance(position, Position):
            async with self._reading():
                position = await self._resume(position) or position
        if isinstance(position, Refusal):
            self._view.reset(position.reason, position.history_lost)
        if not isinstance(position, Position):
            self._reload.set()
        self._changed.set()
        while self._reload.is_set():
            await self._reload_view()

    def _finish_load(self, open_prompts: int = 0) -> None:
        if not self._reload.is_set():  # otherwise it is read again first
            self._view.finish_load(open_prompts)

    async def _reach(self, resume_token: str) -> Position | Refusal:
        """Wait until the feed has reached the token's position. Returns the position."""
        position = self._tokens.read(resume_token, self._digest)
        if isinstance(position, Refusal):
            return position
        async with self._reading():
            refusal = await refusal_of(self._log, position)
        if refusal is None:
            await self._feed.reach(position)
        return refusal or position

    async def _resume(self, position: Position) -> Refusal | None:
        changed = await read_missed(self._log, position)
        if isinstance(changed, Refusal):
            return changed
        ids = sorted({p for c in changed if c.namespace == self._view.filter.namespace for p in c.prompt_ids})
        at = 0
        while at < len(ids):
            prompts, count = await self._jobs.first_prompts(ids[at : at + PAGE_SIZE], PAGE_BYTES)
            if len(prompts) < count:
                return Refusal(
                    "jobs were deleted since the resume token, with prompts that it may have shown"
                )
            for prompt in prompts:
                self._view.offer(prompt)
            if self._reload.is_set():
                return Refusal("too much changed since the resume token")
            self._changed.set()
            at += count
        counted = await self._jobs.list_prompts(self._view.filter, 1, None, 1)
        self._finish_load(counted.total)
        return None

    async def _reload_view(self) -> None:
        """Read the whole view: first the current state of the prompts that the console has, then what
        matches."""
        view = self._view
        while view.is_being_written:  # a console that does not read gets no further pages
            self._written.clear()
            await self._written.wait()
        self._reload.clear()
        position = self._feed.position  # the reads below include everything up to here
        known = view.sent_ids
        if known is None:
            view.reset(self._reset_reason)
        at = 0
        while at < len(known or ()) and not self._reload.is_set():
            async with self._page():
                at += await self._recheck_page((known or [])[at : at + PAGE_SIZE])
            self._changed.set()
        after: PromptPosition | None = None
        more = True
        while more and not self._reload.is_set():
            async with self._page():
                after = await self._read_page(after)
            self._changed.set()
            more = after is not None
        if not self._reload.is_set():
            self._resume_position = position  # no token is issued before all is sent
        self._finish_load()
        self._changed.set()

    @asynccontextmanager
    async def _page(self) -> AsyncIterator[None]:
        """Reserve memory and a slot for a page, once the console has taken most of the previous one."""
        while not self._has_room():
            self._written.clear()
            await self._written.wait()
        self._pages.append(await self._account.reserve(PAGE_BYTES))
        async with self._reading():
            yield

    async def _recheck_page(self, ids: list[str]) -> int:
        """Recheck the first of these prompts in the view. Returns how many ids that covers."""
        prompts, count = await self._jobs.first_prompts(ids, PAGE_BYTES)
        for prompt in prompts:
            self._view.recheck(prompt)
        for prompt_id in set(ids[:count]) - {p.prompt_id for p in prompts}:
            self._view.remove(prompt_id)
        return count

    async def _read_page(self, after: PromptPosition | None) -> PromptPosition | None:
        """Offer the page after a position to the view. Returns the next position, None at the end.

        This and `_recheck_page` are functions so that no local variable keeps a page while the next one waits
        for room.
        """
        page = await self._jobs.list_prompts(self._view.filter, PAGE_SIZE, after, PAGE_BYTES)
        for prompt in page.prompts:
            self._view.offer(prompt, counted=False)
        return page.next


def digest_view(filter: PromptFilter) -> str:
    """A digest of the view that a resume token is bound to."""
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
