"""Delivers committed changes to the followers of this replica.

Changes arrive in three ways:

- This replica's engine publishes its own commits.
- Other replicas send hints after a commit (`ports/wakeups.py`). A hinted job is read at once if it is
  followed here, ahead of the log.
- The event log is polled, in an order in which nothing can appear later before a position that was read. It
  contains every commit, hinted or not, and it alone advances the position in resume tokens.

Hints only make delivery faster. If one is lost, the next poll brings the change at most `POLL_SECONDS` later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.prompts import Prompt
from askback_server.engine.commit_bus import CommitBus, Follower
from askback_server.engine.committed import Committed
from askback_server.engine.hot_jobs import HotJobs
from askback_server.ports.storage import Changed, FeedStore, JobStore, Position
from askback_server.ports.wakeups import Hint, NoWakeups, Wakeups

_log = logging.getLogger("askback.server.feed")

POLL_SECONDS = 0.5
"""Seconds between two polls of the log."""
MAX_EVENTS_PER_READ = 5_000
"""Events read per query."""
MAX_HINTS = 10_000
"""Maximum number of hinted jobs that wait to be read; beyond it the log is read instead."""
_NEVER = datetime.fromtimestamp(0, UTC)
_NOTHING: Mapping[str, int] = MappingProxyType({})


class LostHistory(Exception):
    """The database has lost commits that this replica has already read."""


class Feed:
    """Feeds the commit bus, and keeps the position up to which the log was delivered."""

    def __init__(
        self,
        log_store: FeedStore,
        jobs: JobStore,
        hot: HotJobs,
        bus: CommitBus,
        wakeups: Wakeups | None = None,
        *,
        workers: Sized = (),
        poll: float = POLL_SECONDS,
    ) -> None:
        """`workers` are those connected to this replica. While there are any, every hinted job is read at
        once, because one of them may be able to run it."""
        self._log = log_store
        self._jobs = jobs
        self._hot = hot
        self._bus = bus
        self._workers = workers
        self.wakeups = wakeups or NoWakeups()
        self._poll = poll
        self._hints: dict[str, tuple[int, int]] = {}
        """Hinted jobs to read: from which seq (exclusive) to which."""
        self._wake = asyncio.Event()
        self._due = False
        """Whether to read the log now instead of at the next poll."""
        self._positions: set[Callable[[Position], None]] = set()
        self._gaps: dict[str, int] = {}
        """Jobs that were delivered ahead of the log, with the seq up to which events may be missing: a local
        commit on top of another replica's, or a job read newer than its event. Until the log reaches this
        seq, prompts that it names are delivered even though the job's version is not new."""
        self.position = Position()
        """Everything up to this position has been delivered."""
        self.epoch = ""

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Follow every job. Returns a function that stops it."""
        return self._bus.follow(follower)

    def follow_job(self, job_id: str, follower: Follower) -> Callable[[], None]:
        """Follow one job. Returns a function that stops it."""
        return self._bus.follow_job(job_id, follower)

    def version_of(self, job_id: str) -> int:
        """The last version of a job that was delivered to followers; 0 if there is none, or forgotten."""
        return self._bus.version_of(job_id)

    def follow_position(self, advanced: Callable[[Position], None]) -> Callable[[], None]:
        """Follow the position. Returns a function that stops it."""
        self._positions.add(advanced)
        return lambda: self._positions.discard(advanced)

    async def reach(self, position: Position) -> None:
        """Wait until everything up to a position of the log has been delivered.

        Who resumes from a position follows the feed after this, not before: another replica may have issued
        the token, and until this feed is as far, it delivers changes that the token's holder already has.
        """
        if self.position >= position:
            return
        reached = asyncio.Event()
        stop = self.follow_position(lambda at: reached.set() if at >= position else None)
        self._due = True
        self._wake.set()
        try:
            await reached.wait()
        finally:
            stop()

    def publish(self, batch: Sequence[Committed]) -> None:
        """Deliver commits of this replica, except versions that are not new, and send hints to the others."""
        self._bus.deliver([item for item in batch if self._note_news(item)])
        self.wakeups.send(
            Hint(item.job.job_id, item.events[0].seq - 1, item.job.version) for item in batch if item.events
        )

    def receive_hints(self, hints: Sequence[Hint]) -> None:
        """Take hints of another replica. An empty list says only that it has committed something."""
        if not hints or len(self._hints) + len(hints) > MAX_HINTS:
            self._due = True
        else:
            for hint in hints:
                self._take_hint(hint)
        if self._due or self._hints:
            self._wake.set()

    def _take_hint(self, hint: Hint) -> None:
        job_id = hint.job_id
        if self._bus.version_of(job_id) >= hint.seq and job_id not in self._gaps:
            return
        if self._bus.has_followers(job_id) or len(self._workers) > 0:
            before = self._hints.get(job_id, (hint.after, 0))
            self._hints[job_id] = min(before[0], hint.after), max(before[1], hint.seq)
            return
        # No session here follows the job: the next poll of the log is soon enough. Drop a stale cache entry.
        known = self._hot.peek(job_id)
        if known is not None and known.job is not None and known.job.version < hint.seq:
            self._hot.drop(job_id)

    def _note_news(self, item: Committed) -> bool:
        job_id, version = item.job.job_id, item.job.version
        known = self._bus.version_of(job_id)
        if known >= version:
            return False
        if item.events:
            self._note_gap(job_id, item.events[0].seq - 1)
        self._bus.note_version(job_id, version)
        return True

    def _note_gap(self, job_id: str, before: int) -> None:
        """Note a gap between the last delivered version and the seq `before`, after which the next change
        begins."""
        if before > self._bus.version_of(job_id):
            self._gaps[job_id] = max(before, self._gaps.get(job_id, 0))

    async def start(self) -> None:
        """Read the position to start from. Raises StorageUnavailable."""
        self.epoch = await self._log.epoch()
        self.position = await self._log.head()

    async def run(self) -> None:
        """Read hinted jobs and the log until cancelled.

        While the log cannot be read, the job cache is suspended. After each outage the position must still be
        in the log's past, else commits were lost. Raises LostHistory.
        """
        clock = asyncio.get_running_loop().time
        polled = clock()  # `start` has read the position
        while True:
            try:
                await self._read_hinted()
                if not self._hot.is_live and not await self._log.has_position(self.position):
                    await self._log.end_history(self.epoch)
                    raise LostHistory(
                        "the database has lost commits that this replica has seen (a failover to a standby "
                        "that was behind, or a restore): what it knows may be wrong, and it must restart"
                    )
                if self._due or clock() >= polled + self._poll:
                    self._due = False
                    more = await self.read()
                    self._due = self._due or more
                    polled = clock()
                self._hot.resume()
            except LostHistory:
                raise
            except StorageUnavailable as error:
                if self._hot.is_live:
                    _log.warning("the feed is down: %s", error)
                self._hot.suspend()
                await asyncio.sleep(self._poll)
            except Exception:
                _log.exception("reading the feed failed")
                self._hot.suspend()
                await asyncio.sleep(self._poll)
            if not self._due and not self._hints:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    # `wait_for` is avoided: before Python 3.12 it swallows a cancellation that coincides with
                    # the wake-up.
                    async with asyncio.timeout_at(polled + self._poll):
                        await self._wake.wait()

    async def _read_hinted(self) -> None:
        """Deliver the hinted jobs.

        The events tell which prompts changed, including events above the log's horizon: those of a single job
        are visible without a gap, because its writers wait for each other on the job's row.
        """
        while self._hints:
            hints, self._hints = self._hints, {}
            marks = {}
            for job_id, (after, seq) in hints.items():
                delivered = self._bus.version_of(job_id)
                if delivered < seq or job_id in self._gaps:
                    marks[job_id] = min(delivered, after) if delivered else after
            if not marks:
                continue
            unseen, jobs = await asyncio.gather(self._log.of_jobs(marks), self._jobs.get_jobs(marks))
            for change in unseen:
                self._note_gap(change.job_id, marks[change.job_id])
            await self._deliver(unseen, {job.job_id: job for job in jobs}, marks)

    async def read(self) -> bool:
        """Deliver the changes after the position. Returns whether there may be more."""
        changed, position = await self._log.after(self.position, MAX_EVENTS_PER_READ)
        unseen = [c for c in changed if self._bus.version_of(c.job_id) < c.seq or c.job_id in self._gaps]
        if unseen:
            await self._deliver(unseen, await self._jobs_of(unseen))
            for change in unseen:
                if self._gaps.get(change.job_id, change.seq + 1) <= change.seq:
                    del self._gaps[change.job_id]
        advanced = position != self.position
        if advanced:
            self.position = position
            for follower in tuple(self._positions):
                follower(position)
        return advanced and len(changed) > MAX_EVENTS_PER_READ // 10

    async def _jobs_of(self, unseen: Sequence[Changed]) -> dict[str, Job]:
        return {job.job_id: job for job in await self._jobs.get_jobs(c.job_id for c in unseen)}

    async def _deliver(
        self, unseen: Sequence[Changed], jobs: Mapping[str, Job], marks: Mapping[str, int] = _NOTHING
    ) -> None:
        """Deliver other replicas' changes, as the jobs are now. For jobs in `marks` the changes are complete
        above that seq."""
        ids: Iterable[str] = (p for c in unseen for p in c.prompt_ids)
        prompts: dict[str, list[Prompt]] = {}
        for prompt in await self._jobs.get_prompts(ids):
            prompts.setdefault(prompt.job_id, []).append(prompt)
        batch, overtaken = [], []
        for change in unseen:
            job = jobs.get(change.job_id)
            if job is None:
                batch.append(self._to_deletion(change))
                continue
            if self._bus.version_of(job.job_id) > job.version:
                # A local commit was delivered while this was read, and followers skip older versions.
                overtaken.append(change)
                continue
            self._bus.note_version(job.job_id, job.version)
            if job.version > change.seq:
                self._gaps[job.job_id] = job.version
            changed = tuple(prompts.get(job.job_id, ()))
            after = marks.get(job.job_id) if change.seq >= job.version else None
            self._hot.learn(job, changed, after)
            batch.append(Committed(job, changed, learnt_late=change.late))
        self._bus.deliver(batch)
        if overtaken:
            await self._deliver(overtaken, await self._jobs_of(overtaken))

    def _to_deletion(self, change: Changed) -> Committed:
        """The deletion of a job, with the last state in the cache, if any."""
        known = self._hot.peek(change.job_id)
        self._hot.drop(change.job_id)
        self._bus.note_version(change.job_id, change.seq)
        if known is not None and known.job is not None:
            return Committed(replace(known.job, version=change.seq), deleted=True, lost=change.prompt_ids)
        deleted = Job(
            job_id=change.job_id,
            namespace=change.namespace,
            job_type="",
            user_id="",
            version=change.seq,
            state=JobState.CANCELLED,
            created_at=_NEVER,
            updated_at=_NEVER,
        )
        return Committed(deleted, deleted=True, lost=change.prompt_ids)
