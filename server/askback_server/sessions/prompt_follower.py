"""Keeps a `PromptView` up to date: first from a snapshot or a resume token, then live from the feed.

Following the feed starts before the first read, so no change is missed in between; the view ignores versions
that it already has. With a resume token it starts once the feed has reached the token's position.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from askback_server.engine.committed import ChangedPrompts
from askback_server.feed.feed import Feed
from askback_server.feed.missed import read_missed, refusal_of
from askback_server.feed.tokens import Refusal, ResumeTokens, digest_view
from askback_server.ports.queries import PromptFilter, PromptPosition
from askback_server.ports.storage import FeedStore, JobStore, Position
from askback_server.sessions.admission import Admission
from askback_server.sessions.images import Images
from askback_server.sessions.memory_budget import Account
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.small_event import SmallEvent

T = TypeVar("T")

PAGE_SIZE = 500
PAGE_BYTES = 512 * 1024
READ_AHEAD = 20
"""Prompts read beyond the console's credit, so that a console which gives back one credit at a time does not
cost a page for each prompt."""


_NO_VIEW = ""
"""The digest of no view: a token for it is refused."""


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
        changed: SmallEvent,
    ) -> None:
        self._view = view
        self._feed = feed
        self._log = log
        self._jobs = jobs
        self._tokens = tokens
        self._admission = admission
        self._images = images
        self._account = account
        self._pages: list[Callable[[], None]] = []
        """Functions that release the memory reserved for pages that are not written yet."""
        self._changed = changed
        self._written = SmallEvent()
        self._reload = SmallEvent()
        """Set when the whole view must be read: at the start, after the console's access has changed, or
        after the view fell behind."""
        self._reset_reason = ""
        self._digest = digest_view(view.filter)
        self._token_cache: tuple[Position, str] | None = None
        self._resume_position = feed.position
        """Everything up to this position is in the view and has been sent."""
        self._stops: list[Callable[[], None]] = []
        """Functions that end what `_attach` began; the first stops following the prompts."""

    def _attach(self) -> None:
        """Start to follow the feed."""
        self._resume_position = self._feed.position
        images = self._images.of_view(self._account, self._fall_behind)
        self._view.charge_to(images)
        self._stops = [
            self._feed.follow_prompts(self._view.filter, self._on_change),
            self._feed.follow_position(self._advance),
            images.close,
        ]

    def detach(self) -> None:
        """Stop following."""
        while self._stops:
            self._stops.pop()()
        self._view.charge_to(None)
        self._release_pages()

    def _on_change(self, changed: ChangedPrompts) -> None:
        view, prompts = self._view, changed.prompts
        for prompt_id in changed.lost:
            view.remove(prompt_id, changed.version)
        if prompts and view.filter.concerns(prompts[0]):  # it is the same for all prompts of a job
            for prompt in prompts:
                view.offer(prompt)
        elif not changed.lost:
            return
        if view.has_news:
            self._changed.set()
        self._written.set()  # if the next prompts were closed, there may be room for a page

    def _fall_behind(self) -> None:
        """Discard pending changes: there are too many. The view is read again when there is room."""
        self._view.fall_behind()
        self._request_reload("you read too slowly: more has changed than is kept for you")

    def _request_reload(self, why: str) -> None:
        self._reset_reason = why
        self._reload.set()
        self._written.set()  # a page that waits for room is not read any more

    def note_written(self) -> None:
        """Note that all events taken from the view have been written: there may be room for more."""
        self._view.note_written()
        if self._pages and self._has_room():
            self._release_pages()
        self._written.set()

    def _release_pages(self) -> None:
        while self._pages:
            self._pages.pop()()

    def _has_room(self) -> bool:
        prompts, size = self._view.waiting
        return prompts < PAGE_SIZE and size < PAGE_BYTES // 4

    @property
    def _page_size(self) -> int:
        """How many prompts to read now; 0: none before the console has more credit.

        With as many prompts waiting as there is credit, it looks ahead: if there are no more, the view is
        complete, for which the console needs no credit.
        """
        room = self._view.room
        if room is None:
            return PAGE_SIZE
        return min(PAGE_SIZE, room + READ_AHEAD) if room >= 0 else 0

    def change_filter(self, filter: PromptFilter) -> None:
        """Apply another filter, because the console's access has changed."""
        # Applied at once, so that it covers commits from now on. What was decided by the filter before is in
        # the read that follows. No token is issued until the view is read again.
        self._view.change_filter(filter, self._tokens.make(self._resume_position, _NO_VIEW))
        if self._stops:
            stop, self._stops[0] = self._stops[0], self._feed.follow_prompts(filter, self._on_change)
            stop()
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
            position = await self._resume(position) or position
        if isinstance(position, Refusal):
            self._view.reset(position.reason, position.history_lost)
        if not isinstance(position, Position):
            self._reload.set()
        if self._view.has_news:
            self._changed.set()
        while self._reload.is_set():
            await self._reload_view()

    async def _reach(self, resume_token: str) -> Position | Refusal:
        """Wait until the feed has reached the token's position. Returns the position."""
        position = self._tokens.read(resume_token, self._digest)
        if isinstance(position, Refusal) or position <= self._feed.position:
            return position  # whether the log still has it turns out when it is read
        refusal = await self._load(
            ("position", position, position.mark), partial(refusal_of, self._log, position)
        )
        if refusal is None:
            await self._feed.reach(position)
        return refusal or position

    async def _resume(self, position: Position) -> Refusal | None:
        missed = await self._load(
            ("missed", position, position.mark), partial(read_missed, self._log, position)
        )
        if isinstance(missed, Refusal):
            return missed
        ids = sorted(missed.get(self._view.filter.namespace, ()))
        at = 0
        while at < len(ids):
            some = tuple(ids[at : at + PAGE_SIZE])
            prompts, count = await self._load(some, partial(self._jobs.first_prompts, some, PAGE_BYTES))
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
        self._view.finish_load()
        return None

    def _load(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        return self._admission.load(self._account.subject, key, read)

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
        if await self._recheck(known or []) and await self._read_pages():
            self._resume_position = position  # no token is issued before all is sent
            view.finish_load()
            self._changed.set()

    async def _recheck(self, ids: list[str]) -> bool:
        """Recheck the prompts that the console has. Returns False if the view must be read again first."""
        at = 0
        while at < len(ids):
            async with self._page() as may_read:
                if not may_read:
                    return False
                at += await self._recheck_page(ids[at : at + PAGE_SIZE])
            self._changed.set()
        return True

    async def _read_pages(self) -> bool:
        """Read what matches, as the console takes it. Returns False if the view must be read again first."""
        after: PromptPosition | None = None
        while True:
            async with self._page(as_taken=True) as may_read:
                if not may_read:
                    return False
                after = await self._read_page(after)
            self._changed.set()
            if after is None:
                return not self._reload.is_set()

    @asynccontextmanager
    async def _page(self, *, as_taken: bool = False) -> AsyncIterator[bool]:
        """Reserve memory for a page, once the console has taken most of the previous one, and with
        `as_taken` has credit for it. Yields False if the view must be read again first."""
        while not self._reload.is_set() and not (self._has_room() and (self._page_size or not as_taken)):
            self._written.clear()
            await self._written.wait()
        self._pages.append(await self._account.reserve(PAGE_BYTES))
        yield not self._reload.is_set()

    async def _recheck_page(self, ids: list[str]) -> int:
        """Recheck the first of these prompts in the view. Returns how many ids that covers."""
        async with self._admission.view(self._account.subject):
            prompts, count = await self._jobs.first_prompts(ids, PAGE_BYTES)
        for prompt in prompts:
            self._view.recheck(prompt)
        for prompt_id in set(ids[:count]) - {p.prompt_id for p in prompts}:
            self._view.remove(prompt_id)
        return count

    async def _read_page(self, after: PromptPosition | None) -> PromptPosition | None:
        """Add the page after a position to the view. Returns the next position, None at the end.

        This and `_recheck_page` are functions so that no local variable keeps a page while the next one waits
        for room.
        """
        view = self._view
        view.expect_page()
        limit, filter = self._page_size or READ_AHEAD, view.filter
        key = (self._digest, limit, after)
        page = await self._load(key, partial(self._jobs.list_prompts, filter, limit, after, PAGE_BYTES))
        if not self._reload.is_set():  # otherwise the view is read from the beginning
            view.add_page(page.prompts, page.next)
        return page.next
