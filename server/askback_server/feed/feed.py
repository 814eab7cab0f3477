"""Committed changes, to everybody who follows them.

Three ways lead here. The local shortcut: the engine of this replica hands over what it has just
committed. The calls of other replicas: the jobs that they name are read at once, ahead of the log. And
the log, read from the database in a safe order: it brings whatever other writers committed, called out
or not, and it alone moves the position that resume tokens name.
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

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between two reads of the log."""
READ = 5_000
"""Events read at once."""
HINTED = 10_000
"""Jobs of which hints are kept; beyond that the log is read."""
_NEVER = datetime.fromtimestamp(0, UTC)
_NOTHING: Mapping[str, int] = MappingProxyType({})


class LostHistory(Exception):
    """The database is not the one that was read before."""


class Feed:
    """Fan-out of commits, and the position behind them."""

    def __init__(
        self,
        log_store: FeedStore,
        jobs: JobStore,
        hot: HotJobs,
        bus: CommitBus,
        wakeups: Wakeups | None = None,
        *,
        workers: Sized = (),
        poll: float = POLL,
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
        """Jobs that others have changed and that are to be read at once: from which seq to which."""
        self._look = asyncio.Event()
        self._due = False
        """Whether the log is to be read without waiting for the poll."""
        self._positions: set[Callable[[Position], None]] = set()
        self._gaps: dict[str, int] = {}
        """Jobs that were delivered ahead of the log: a local commit on top of another replica's, or a job
        read newer than its event. Until the log has brought this seq, the prompts that it names are
        delivered although the job's version is not new."""
        self.position = Position()
        """All up to here has been delivered to the followers."""
        self.epoch = ""

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Follow every job. Returns the way to stop."""
        return self._bus.follow(follower)

    def follow_job(self, job_id: str, follower: Follower) -> Callable[[], None]:
        """Follow one job. Returns the way to stop."""
        return self._bus.follow_job(job_id, follower)

    def follow_position(self, moved: Callable[[Position], None]) -> Callable[[], None]:
        """Hear of new positions. Returns the way to stop."""
        self._positions.add(moved)
        return lambda: self._positions.discard(moved)

    def publish(self, batch: Sequence[Committed]) -> None:
        """Deliver this replica's commits, unless something newer of the same job was delivered, and call
        the other replicas."""
        self._bus.deliver([item for item in batch if self._is_news(item)])
        self.wakeups.send(
            Hint(item.job.job_id, item.events[0].seq - 1, item.job.version) for item in batch if item.events
        )

    def hear(self, hints: Sequence[Hint]) -> None:
        """Another replica has committed this; of no hints, that it has committed something."""
        if not hints or len(self._hints) + len(hints) > HINTED:
            self._due = True
        else:
            for hint in hints:
                self._hint(hint)
        if self._due or self._hints:
            self._look.set()

    def _hint(self, hint: Hint) -> None:
        job_id = hint.job_id
        if self._bus.version_of(job_id) >= hint.seq and job_id not in self._gaps:
            return
        if self._bus.has_followers(job_id) or len(self._workers) > 0:
            before = self._hints.get(job_id, (hint.after, 0))
            self._hints[job_id] = min(before[0], hint.after), max(before[1], hint.seq)
            return
        # Where nobody waits for it, the log is soon enough, and brings more at once.
        known = self._hot.peek(job_id)
        if known is not None and known.job is not None and known.job.version < hint.seq:
            self._hot.drop(job_id)

    def _is_news(self, item: Committed) -> bool:
        job_id, version = item.job.job_id, item.job.version
        known = self._bus.version_of(job_id)
        if known >= version:
            return False
        if item.events:
            self._note_gap(job_id, item.events[0].seq - 1)
        self._bus.note_version(job_id, version)
        return True

    def _note_gap(self, job_id: str, before: int) -> None:
        """What comes next begins after a seq: is anything between it and what was delivered?"""
        if before > self._bus.version_of(job_id):
            self._gaps[job_id] = max(before, self._gaps.get(job_id, 0))

    async def start(self) -> None:
        """Find the place to follow from. Raises StorageUnavailable."""
        self.epoch = await self._log.epoch()
        self.position = await self._log.head()

    async def run(self) -> None:
        """Read the log, and what others call out, until cancelled. While it cannot be read, the memory is
        not trusted. Raises LostHistory."""
        clock = asyncio.get_running_loop().time
        polled = clock() - self._poll
        while True:
            try:
                await self._read_hinted()
                if not self._hot.is_live and not await self._log.knows(self.position):
                    await self._log.end_history(self.epoch)
                    raise LostHistory(
                        "the database has lost commits that this replica has seen (a failover to a standby "
                        "that was behind, or a restore): what it knows may be wrong, and it must start anew"
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
                    log.warning("the feed is down: %s", error)
                self._hot.suspend()
                await asyncio.sleep(self._poll)
            except Exception:
                log.exception("reading the feed failed")
                self._hot.suspend()
                await asyncio.sleep(self._poll)
            if not self._due and not self._hints:
                self._look.clear()
                with contextlib.suppress(TimeoutError):
                    # Not wait_for: before Python 3.12 it swallows a cancel that meets the wake-up.
                    async with asyncio.timeout_at(polled + self._poll):
                        await self._look.wait()

    async def _read_hinted(self) -> None:
        """Deliver the jobs that other replicas have called out.

        The events say which prompts have changed, also those above the log's horizon: a job's own are
        visible without a gap, because one commit waits for the other on the job's row.
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
        """Deliver what the log has after the position. Returns whether there may be more."""
        changed, position = await self._log.after(self.position, READ)
        unseen = [c for c in changed if self._bus.version_of(c.job_id) < c.seq or c.job_id in self._gaps]
        if unseen:
            await self._deliver(unseen, await self._jobs_of(unseen))
            for change in unseen:
                if self._gaps.get(change.job_id, change.seq + 1) <= change.seq:
                    del self._gaps[change.job_id]
        moved = position != self.position
        if moved:
            self.position = position
            for follower in tuple(self._positions):
                follower(position)
        return moved and len(changed) > READ // 10

    async def _jobs_of(self, unseen: Sequence[Changed]) -> dict[str, Job]:
        return {job.job_id: job for job in await self._jobs.get_jobs(c.job_id for c in unseen)}

    async def _deliver(
        self, unseen: Sequence[Changed], jobs: Mapping[str, Job], marks: Mapping[str, int] = _NOTHING
    ) -> None:
        """Tell of jobs that somebody else changed, as they are now. Of those in `marks` the changes are all
        that were made above a seq."""
        ids: Iterable[str] = (p for c in unseen for p in c.prompt_ids)
        prompts: dict[str, list[Prompt]] = {}
        for prompt in await self._jobs.get_prompts(ids):
            prompts.setdefault(prompt.job_id, []).append(prompt)
        batch, overtaken = [], []
        for change in unseen:
            job = jobs.get(change.job_id)
            if job is None:
                batch.append(self._deleted(change))
                continue
            if self._bus.version_of(job.job_id) > job.version:
                # A local commit came while this was read, and followers skip an older job.
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

    def _deleted(self, change: Changed) -> Committed:
        """The end of a job whose row is gone; what is known of it is told with it."""
        known = self._hot.peek(change.job_id)
        self._hot.drop(change.job_id)
        self._bus.note_version(change.job_id, change.seq)
        if known is not None and known.job is not None:
            return Committed(replace(known.job, version=change.seq), deleted=True, lost=change.prompt_ids)
        nobody = Job(
            job_id=change.job_id,
            namespace=change.namespace,
            job_type="",
            user_id="",
            version=change.seq,
            state=JobState.CANCELLED,
            created_at=_NEVER,
            updated_at=_NEVER,
        )
        return Committed(nobody, deleted=True, lost=change.prompt_ids)
