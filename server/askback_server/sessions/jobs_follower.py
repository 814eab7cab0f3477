"""Follows all jobs that match a filter, by their newest state."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from askback_server.domain.events import EventType
from askback_server.domain.jobs import TERMINAL, Job, JobState
from askback_server.engine.committed import Committed
from askback_server.feed.feed import Feed
from askback_server.feed.missed import MAX_MISSED_EVENTS, TOO_MUCH, refusal_of
from askback_server.feed.tokens import Refusal, ResumeTokens, hash_parts
from askback_server.ports.queries import JobFilter
from askback_server.ports.storage import FeedStore, JobStore, Position
from askback_server.sessions import job_follower
from askback_server.sessions.admission import Admission
from askback_server.sessions.images import MAX_VIEW_ENTRIES, Images
from askback_server.sessions.memory_budget import Account
from askback_server.sessions.watch import Watch

PAGE_SIZE = 500
PAGE_BYTES = 512 * 1024
MAX_ENDED_VERSIONS = 4_096


@dataclass(frozen=True, slots=True)
class JobsUpdate:
    """The next update of a view of jobs. `reset` is the reason why the watcher must discard its jobs; empty
    if not."""

    jobs: tuple[Job, ...] = ()
    removed: tuple[str, ...] = ()
    caught_up: bool = False
    reset: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The remaining reads for a watcher: the log after a position, then the snapshot."""

    log: Position | None = None
    events: int = 0
    """The number of further log events that may be read."""
    ids: tuple[str, ...] = ()
    """Jobs named by the log and not read yet."""
    snapshot: bool = False
    after: str | None = None
    """The job id after which the snapshot continues."""

    def __bool__(self) -> bool:
        return self.log is not None or bool(self.ids) or self.snapshot


SNAPSHOT = ReadPlan(snapshot=True)


class JobsFollower:
    """A view of all jobs that match a filter.

    Only the newest state of each job is kept, never a history. If too many changes wait for a slow watcher,
    the view discards them and later reads the log from the last position that the watcher has received
    completely.
    """

    def __init__(
        self,
        filter: JobFilter,
        subject: str,
        feed: Feed,
        log: FeedStore,
        jobs: JobStore,
        tokens: ResumeTokens,
        watch: Watch,
        admission: Admission,
        images: Images,
        account: Account,
    ) -> None:
        self._filter = filter
        self._without_labels = replace(filter, labels={}, any_labels={})
        self._feed = feed
        self._log = log
        self._jobs = jobs
        self._tokens = tokens
        labels = sorted(filter.labels.items()) + sorted(filter.any_labels.items())
        self._digest = hash_parts("jobs", subject, self._without_labels, labels)
        self._watch = watch
        self._admission = admission
        self._images = images.of_view(account, self._fall_behind)
        self._account = account
        self._changed = watch.changed
        self._pending: dict[str, Job] = {}
        self._removed: dict[str, None] = {}
        self._versions: dict[str, int] = {}
        self._ended: OrderedDict[str, int] = OrderedDict()
        """Versions of the most recently ended jobs that were sent (bounded)."""
        self._resume_position = feed.position
        """Everything up to this position has been sent, except for the snapshot."""
        self._behind = False
        """Whether changes after that position were discarded and must be read from the log."""
        self._is_current = False
        """Whether everything not sent yet is pending in memory."""
        self._writing: list[Job] = []

    def _on_commit(self, item: Committed) -> None:
        if self._behind:
            return  # read from the log later
        # Only a change of labels can remove a job from a view.
        updated = not item.events or any(e.type is EventType.JOB_UPDATED for e in item.events)
        self._offer(item.job, deleted=item.deleted, relabelled=updated)

    def _fall_behind(self) -> None:
        """Discard the pending changes: there are too many. They are read from the log once the current write
        is done."""
        self._behind, self._is_current = True, False
        for job in self._pending.values():
            self._images.release(job)
            # the same version may be offered again, an older one never
            self._versions[job.job_id] = job.version - 1
        self._pending.clear()
        self._removed.clear()
        self._changed.set()

    def _offer(
        self, job: Job, *, deleted: bool = False, relabelled: bool = False, counted: bool = True
    ) -> None:
        if job.version <= max(self._versions.get(job.job_id, 0), self._ended.get(job.job_id, 0)):
            return
        if deleted or not self._filter.matches(job):
            may_have_matched = (
                self._without_labels.matches(job) if job.job_type else job.namespace == self._filter.namespace
            )
            self._images.release(self._pending.pop(job.job_id, None))
            # The watcher may have ended jobs, or jobs from before a resume, that are not known here.
            if job.job_id in self._versions or ((deleted or relabelled) and may_have_matched):
                self._versions.pop(job.job_id, None)
                self._remove(job.job_id)
            return
        self._versions[job.job_id] = job.version
        self._images.release(self._pending.pop(job.job_id, None))
        self._pending[job.job_id] = job
        self._changed.set()
        if counted:
            self._images.keep(job)

    def _remove(self, job_id: str) -> None:
        self._removed[job_id] = None
        self._changed.set()
        if len(self._removed) > MAX_VIEW_ENTRIES:
            self._fall_behind()

    def _advance(self, position: Position) -> None:
        if self._is_current and not self._pending and not self._removed:
            self._resume_position = position

    @property
    def _token(self) -> str:
        self._advance(self._feed.position)  # the position may have advanced before everything was sent
        return self._tokens.make(self._resume_position, self._digest)

    async def news(self, resume_token: str) -> AsyncIterator[JobsUpdate]:
        """Yield updates until cancelled."""
        self._resume_position = self._feed.position
        stops: list[Callable[[], None]] = [
            self._feed.follow_jobs(self._filter, self._on_commit),
            self._feed.follow_position(self._advance),
            self._images.close,
        ]
        clock, due, unread = asyncio.get_running_loop().time, 0.0, SNAPSHOT
        try:
            if resume_token:
                position = self._tokens.read(resume_token, self._digest)
                if isinstance(position, Refusal):
                    yield JobsUpdate(reset=position.reason)
                else:
                    # Treated like a view that fell behind after this position.
                    self._resume_position, self._behind, unread = position, True, ReadPlan()
            # Jobs that were sent must not stay referenced by a local variable while this waits. So `_next` is
            # a function, and `news` is None after each loop.
            while True:
                self._changed.clear()
                while unread or self._must_catch_up():
                    async with self._account.room(PAGE_BYTES):
                        then = await self._read(unread)
                        if isinstance(then, Refusal):
                            self._forget()
                            yield JobsUpdate(reset=then.reason)
                            then = unread = SNAPSHOT
                        while (news := self._next()) is not None:
                            yield news
                    if not self._must_catch_up():
                        unread = then
                while (news := self._next()) is not None:
                    yield news
                if self._must_catch_up():
                    continue
                self._is_current = True
                if clock() >= due:
                    yield JobsUpdate(caught_up=not due, token=self._token)
                    due = clock() + job_follower.IDLE_SECONDS
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._changed.wait()
                self._watch.check()
        finally:
            for stop in stops:
                stop()

    def _must_catch_up(self) -> bool:
        # A method, because mypy would not expect the attribute to change during an `await`.
        return self._behind

    async def _read(self, unread: ReadPlan) -> ReadPlan | Refusal:
        """Read and offer the next page. Returns the rest of the plan, or why the watcher must be reset."""
        if self._behind:
            refusal = await refusal_of(self._log, self._resume_position)
            if refusal is None:
                await self._feed.reach(self._resume_position)
            self._behind = False  # from here on commits are offered again
            if refusal is not None:
                return refusal
            unread = replace(unread, log=self._resume_position, ids=(), events=MAX_MISSED_EVENTS)
        if unread.ids:
            return replace(unread, ids=unread.ids[await self._read_jobs(unread.ids) :])
        if unread.log is not None:
            if unread.events <= 0:
                return Refusal(TOO_MUCH)
            changed, reached = await self._log.after(unread.log, PAGE_SIZE, settled=False)
            if reached == unread.log:
                return replace(unread, log=None)
            ids = {c.job_id for c in changed if c.namespace == self._filter.namespace}
            return replace(unread, log=reached, ids=tuple(sorted(ids)), events=unread.events - PAGE_SIZE)
        after = await self._read_page(unread.after)
        return replace(unread, snapshot=after is not None, after=after)

    async def _read_jobs(self, ids: tuple[str, ...]) -> int:
        """Offer the first of the jobs named by the log. Returns how many ids that covers."""
        found, count = await self._jobs.first_jobs(ids, PAGE_BYTES)
        for job in found:
            self._offer(job, relabelled=True, counted=False)
        for job_id in set(ids[:count]) - {job.job_id for job in found}:
            self._images.release(self._pending.pop(job_id, None))
            self._versions.pop(job_id, None)
            self._remove(job_id)
        return count

    def _forget(self) -> None:
        """Forget which jobs the watcher has: it is being reset."""
        self._resume_position = self._feed.position
        self._versions = {job.job_id: job.version for job in self._pending.values()}
        self._ended.clear()
        self._removed.clear()

    def _next(self) -> JobsUpdate | None:
        """Take the next update, at most a page, once the previous one has been written.

        Until they are taken, jobs stay in `_pending`, where newer versions replace them: a slow watcher keeps
        no old ones in memory.
        """
        for job in self._writing:
            self._images.release(job)
        self._writing.clear()
        if not self._pending and not self._removed:
            return None
        jobs: list[Job] = []
        size = 0
        while self._pending and len(jobs) < PAGE_SIZE and size < PAGE_BYTES:
            job = self._pending.pop(next(iter(self._pending)))
            size += len(job.input_json) + len(job.result_json)
            jobs.append(job)
            if self._images.keeps(job):
                self._writing.append(job)
            if job.is_terminal:
                self._versions.pop(job.job_id, None)
                self._ended[job.job_id] = job.version
                if len(self._ended) > MAX_ENDED_VERSIONS:
                    self._ended.popitem(last=False)
        removed = tuple(self._removed)
        self._removed.clear()
        return JobsUpdate(tuple(jobs), removed)

    async def _read_page(self, after: str | None) -> str | None:
        """Read and offer a page of the snapshot. Returns the id to continue after, None at the end."""
        states = self._filter.states or tuple(s for s in JobState if s not in TERMINAL)
        async with self._admission.view(self._account.subject):
            page = await self._jobs.list_jobs(
                replace(self._filter, states=states), PAGE_SIZE, after, PAGE_BYTES
            )
        for job in page.jobs:
            self._offer(job, counted=False)
        return page.next
