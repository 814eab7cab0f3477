"""Following jobs: one by its events without a gap, or all that match by their newest state."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import TERMINAL, Job, JobState
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.feed.feed import Feed
from askback_server.feed.missed import missed
from askback_server.feed.tokens import Refusal, ResumeTokens, view_digest
from askback_server.ports.queries import JobFilter
from askback_server.ports.storage import FeedStore, JobStore, Position
from askback_server.sessions.admission import Admission
from askback_server.sessions.job_viewer import JobViewer
from askback_server.sessions.unsent import Account
from askback_server.sessions.watch import Watch

PAGE = 500
PAGE_BYTES = 512 * 1024
EVENTS = 100
EVENTS_BYTES = 256 * 1024
"""Events of one page, and about what they may take."""
ENDED = 4_096
IDLE = 15.0
"""Seconds after which a stream that has nothing to tell sends a frame all the same."""

_ENDS = frozenset({EventType.JOB_COMPLETED, EventType.JOB_FAILED, EventType.JOB_CANCELLED})


async def job_events(
    feed: Feed, jobs: JobStore, job: Job, after_seq: int, watch: Watch, account: Account, viewer: JobViewer
) -> AsyncIterator[list[Event]]:
    """Batches of a job's events above a seq, in order without a gap; ends after the job's end.

    After IDLE seconds without an event there is an empty batch: proxies cut streams that say nothing.
    The viewer has looked at each batch, and looks again whenever `watch.changed` is set. Raises what it does.
    """
    changed = watch.changed
    live: list[Event] = []

    def committed(item: Committed) -> None:
        live.extend(item.events)
        if len(live) > PAGE:
            live.clear()  # too slow: what is missing is read
        changed.set()

    stop = feed.follow_job(job.job_id, committed)
    try:
        last = after_seq
        while True:
            changed.clear()
            batch = [e for e in live if e.seq > last]
            live.clear()
            if not batch or batch[0].seq != last + 1 or batch[-1].seq != last + len(batch):
                page = await account.reserve(EVENTS_BYTES)
                batch = await jobs.list_events(job.job_id, last, EVENTS)
            else:
                page = None
            await viewer.look(batch)
            told = bool(batch)
            if told:
                last, ended = batch[-1].seq, any(e.type in _ENDS for e in batch)
                yield batch
                batch = []
                if ended:
                    return
            if page is not None:
                page()
            if told:
                continue
            if job.is_terminal:
                return
            watch.check()
            try:
                async with asyncio.timeout(IDLE):
                    await changed.wait()
            except TimeoutError:
                yield []
    finally:
        stop()


@dataclass(frozen=True, slots=True)
class JobsNews:
    """What a watcher of many jobs is told next."""

    jobs: tuple[Job, ...] = ()
    removed: tuple[str, ...] = ()
    caught_up: bool = False
    reset: str = ""
    token: str = ""


class JobsFollower:
    """A view of all jobs that match a filter, by newest state."""

    def __init__(
        self, filter: JobFilter, subject: str, feed: Feed, log: FeedStore, jobs: JobStore,
        tokens: ResumeTokens, watch: Watch, admission: Admission, account: Account,
    ) -> None:  # fmt: skip
        self._filter = filter
        self._but_labels = replace(filter, labels={}, any_labels={})
        self._feed = feed
        self._log = log
        self._jobs = jobs
        self._tokens = tokens
        labels = sorted(filter.labels.items()) + sorted(filter.any_labels.items())
        self._digest = view_digest("jobs", subject, self._but_labels, labels)
        self._watch = watch
        self._admission = admission
        self._account = account
        self._changed = watch.changed
        self._fresh: dict[str, Job] = {}
        self._removed: dict[str, None] = {}
        self._versions: dict[str, int] = {}
        self._ended: OrderedDict[str, int] = OrderedDict()
        """The same of ended jobs: they change little, so of the newest only."""
        self._safe = feed.position
        self._caught_up = False

    def _committed(self, item: Committed) -> None:
        # Only labels can take a job out of a view.
        updated = not item.events or any(e.type is EventType.JOB_UPDATED for e in item.events)
        self._offer(item.job, deleted=item.deleted, relabelled=updated)

    def _offer(self, job: Job, *, deleted: bool = False, relabelled: bool = False) -> None:
        if job.version <= max(self._versions.get(job.job_id, 0), self._ended.get(job.job_id, 0)):
            return
        if deleted or not self._filter.matches(job):
            there = self._but_labels.matches(job) if job.job_type else job.namespace == self._filter.namespace
            self._fresh.pop(job.job_id, None)
            # What the watcher has of ended jobs, or from before a resume, is not known here.
            if job.job_id in self._versions or ((deleted or relabelled) and there):
                self._versions.pop(job.job_id, None)
                self._removed[job.job_id] = None
                self._changed.set()
            return
        self._versions[job.job_id] = job.version
        self._fresh[job.job_id] = job
        self._changed.set()

    def _moved(self, position: Position) -> None:
        if self._caught_up and not self._fresh and not self._removed:
            self._safe = position

    @property
    def _token(self) -> str:
        self._moved(self._feed.position)  # it may have moved last before all was told
        return self._tokens.make(self._safe, self._digest)

    async def news(self, resume_token: str) -> AsyncIterator[JobsNews]:
        """What to tell the watcher, for ever."""
        self._safe = self._feed.position
        stops: list[Callable[[], None]] = [
            self._feed.follow(self._committed), self._feed.follow_position(self._moved),
        ]  # fmt: skip
        try:
            refusal = await self._resume(resume_token) if resume_token else None
            if refusal is not None:
                yield JobsNews(reset=refusal.reason)
            states = self._filter.states or tuple(s for s in JobState if s not in TERMINAL)
            view, after = replace(self._filter, states=states), None
            more = refusal is not None or not resume_token
            # What has been told must not stay in a local variable while this waits. So `_next` is a function,
            # and `news` is None behind every loop.
            while more:
                async with self._account.room(PAGE_BYTES):
                    after = await self._read_page(view, after)
                    while (news := self._next()) is not None:
                        yield news
                more = after is not None
            while (news := self._next()) is not None:
                yield news
            self._caught_up = True
            yield JobsNews(caught_up=True, token=self._token)
            clock = asyncio.get_running_loop().time
            due = clock() + IDLE
            while True:
                self._changed.clear()
                while (news := self._next()) is not None:
                    yield news
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._changed.wait()
                self._watch.check()
                if clock() >= due:
                    while (news := self._next()) is not None:
                        yield news
                    yield JobsNews(token=self._token)
                    due = clock() + IDLE
        finally:
            for stop in stops:
                stop()

    def _next(self) -> JobsNews | None:
        """What is to be told next, at most a page. Until their turn jobs stay where newer versions replace
        them: a watcher that reads slowly must not keep old ones."""
        if not self._fresh and not self._removed:
            return None
        jobs: list[Job] = []
        size = 0
        while self._fresh and len(jobs) < PAGE and size < PAGE_BYTES:
            job = self._fresh.pop(next(iter(self._fresh)))
            size += len(job.input_json) + len(job.result_json)
            jobs.append(job)
            if job.is_terminal:
                self._versions.pop(job.job_id, None)
                self._ended[job.job_id] = job.version
                if len(self._ended) > ENDED:
                    self._ended.popitem(last=False)
        removed = tuple(self._removed)
        self._removed.clear()
        return JobsNews(tuple(jobs), removed)

    async def _read_page(self, view: JobFilter, after: str | None) -> str | None:
        """Offer the page after a position, and return the next position, if there is one."""
        async with self._admission.view(self._account.subject):
            page = await self._jobs.list_jobs(view, PAGE, after, PAGE_BYTES)
        for job in page.jobs:
            self._offer(job)
        return page.next

    async def _resume(self, resume_token: str) -> Refusal | None:
        position = self._tokens.read(resume_token, self._digest)
        if isinstance(position, Refusal):
            return position
        changed = await missed(self._log, position)
        if isinstance(changed, Refusal):
            return changed
        ids = {c.job_id for c in changed if c.namespace == self._filter.namespace}
        found = {job.job_id: job for job in await self._jobs.get_jobs(ids)}
        for job_id in ids - found.keys():
            self._removed[job_id] = None
        for job in found.values():
            self._offer(job, relabelled=True)
        return None


async def resolved_prompt(feed: Feed, read: Callable[[], Awaitable[Prompt]], wait: float) -> Prompt:
    """Wait up to `wait` seconds for a prompt to end. Returns it as it then is.

    `read` gives the prompt as it is; it is called once more after the feed is followed, so that an
    end in between is not missed.
    """
    newest = await read()
    if not newest.is_open or wait <= 0:
        return newest
    done = asyncio.Event()

    def committed(item: Committed) -> None:
        nonlocal newest
        for changed in item.prompts:
            if changed.prompt_id == newest.prompt_id and changed.version > newest.version:
                newest = changed
                if not changed.is_open:
                    done.set()

    stop = feed.follow_job(newest.job_id, committed)
    try:
        again = await read()
        if again.is_open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await done.wait()
        return max(again, newest, key=lambda p: p.version)
    finally:
        stop()
