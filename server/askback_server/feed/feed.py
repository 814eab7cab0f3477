"""Committed changes, to everybody who follows them.

Two ways lead here. The local shortcut: the engine of this replica hands over what it has just
committed. And the log, read from the database in a safe order: it brings what other writers
committed, and it alone moves the position that resume tokens name.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.engine.hot_jobs import HotJobs
from askback_server.ports.storage import Changed, FeedStore, JobStore, Position

log = logging.getLogger(__name__)

Follower = Callable[[Committed], None]
"""Called in the loop, in the order in which versions rise per job. Must not block."""

POLL = 0.5
"""Seconds between two reads of the log."""
READ = 5_000
"""Events read at once."""
REMEMBERED = 100_000
"""Jobs whose last delivered version is remembered, so that nothing is delivered twice."""


class Feed:
    """Fan-out of commits, and the position behind them."""

    def __init__(self, log_store: FeedStore, jobs: JobStore, hot: HotJobs, *, poll: float = POLL) -> None:
        self._log = log_store
        self._jobs = jobs
        self._hot = hot
        self._poll = poll
        self._everything: set[Follower] = set()
        self._by_job: dict[str, set[Follower]] = {}
        self._positions: set[Callable[[Position], None]] = set()
        self._delivered: OrderedDict[str, int] = OrderedDict()
        self._gaps: dict[str, int] = {}
        """Jobs that were delivered ahead of the log: a local commit on top of another replica's, or a job
        read newer than its event. Until the log has brought this seq, the prompts that it names are
        delivered although the job's version is not new."""
        hot.newest = lambda job_id: self._delivered.get(job_id, 0)
        self.position = Position()
        """All up to here has been delivered to the followers."""
        self.epoch = ""
        self.batch_followers: list[Callable[[Sequence[Committed]], None]] = []
        """Parts of the engine that follow whole batches: timers, dispatch."""

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Follow every job. Returns the way to stop."""
        self._everything.add(follower)
        return lambda: self._everything.discard(follower)

    def follow_job(self, job_id: str, follower: Follower) -> Callable[[], None]:
        """Follow one job. Returns the way to stop."""
        self._by_job.setdefault(job_id, set()).add(follower)

        def stop() -> None:
            followers = self._by_job.get(job_id)
            if followers is not None:
                followers.discard(follower)
                if not followers:
                    del self._by_job[job_id]

        return stop

    def follow_position(self, moved: Callable[[Position], None]) -> Callable[[], None]:
        """Hear of new positions. Returns the way to stop."""
        self._positions.add(moved)
        return lambda: self._positions.discard(moved)

    def publish(self, batch: Sequence[Committed]) -> None:
        """Deliver commits, unless something newer of the same job was delivered."""
        self._hand_out([item for item in batch if self._is_news(item)])

    def _hand_out(self, news: Sequence[Committed]) -> None:
        for follower in self.batch_followers:
            follower(news)
        for item in news:
            for follow in (*self._everything, *self._by_job.get(item.job.job_id, ())):
                try:
                    follow(item)
                except Exception:
                    log.exception(
                        "a follower of job %s failed", item.job.job_id, extra={"job_id": item.job.job_id}
                    )

    def _is_news(self, item: Committed) -> bool:
        job_id, version = item.job.job_id, item.job.version
        known = self._delivered.get(job_id, 0)
        if known >= version:
            return False
        if item.events and item.events[0].seq > known + 1:
            self._gaps[job_id] = item.events[0].seq - 1
        self._remember(job_id, version)
        return True

    def _remember(self, job_id: str, version: int) -> None:
        self._delivered[job_id] = max(version, self._delivered.get(job_id, 0))
        self._delivered.move_to_end(job_id)
        if len(self._delivered) > REMEMBERED:
            self._delivered.popitem(last=False)

    async def start(self) -> None:
        """Find the place to follow from. Raises StorageUnavailable."""
        self.epoch = await self._log.epoch()
        self.position = await self._log.head()

    async def run(self) -> None:
        """Read the log until cancelled. While it cannot be read, the memory is not trusted."""
        while True:
            try:
                more = await self.read()
                self._hot.live = True
            except StorageUnavailable as error:
                if self._hot.live:
                    log.warning("the feed is down: %s", error)
                self._hot.live, more = False, False
            except Exception:
                log.exception("reading the feed failed")
                self._hot.live, more = False, False
            if not more:
                await asyncio.sleep(self._poll)

    async def read(self) -> bool:
        """Deliver what the log has after the position. Returns whether there may be more."""
        changed, position = await self._log.after(self.position, READ)
        unseen = [c for c in changed if self._delivered.get(c.job_id, 0) < c.seq or c.job_id in self._gaps]
        if unseen:
            await self._deliver(unseen)
            for change in unseen:
                if self._gaps.get(change.job_id, change.seq + 1) <= change.seq:
                    del self._gaps[change.job_id]
        moved = position != self.position
        if moved:
            self.position = position
            for follower in tuple(self._positions):
                follower(position)
        return moved and len(changed) > READ // 10

    async def _deliver(self, unseen: Sequence[Changed]) -> None:
        """Read jobs that somebody else changed, as they are now."""
        jobs = {job.job_id: job for job in await self._jobs.get_jobs(c.job_id for c in unseen)}
        ids: Iterable[str] = (p for c in unseen for p in c.prompt_ids)
        prompts: dict[str, list[Prompt]] = {}
        for prompt in await self._jobs.get_prompts(ids):
            prompts.setdefault(prompt.job_id, []).append(prompt)
        batch, overtaken = [], []
        for change in unseen:
            job = jobs.get(change.job_id)
            if job is None:
                self._hot.drop(change.job_id)
                self._remember(change.job_id, change.seq)
                continue
            if self._delivered.get(job.job_id, 0) > job.version:
                # A local commit came while this was read, and followers skip an older job.
                overtaken.append(change)
                continue
            self._remember(job.job_id, job.version)
            if job.version > change.seq:
                self._gaps[job.job_id] = job.version
            # Peeked at: after an outage the memory is not yet live when this brings what it has missed.
            known = self._hot.peek(job.job_id)
            if known is not None and known.job is not None and known.job.version < job.version:
                # Other prompts may have changed too: what is not known whole is read when needed.
                self._hot.drop(job.job_id)
            batch.append(Committed(job, tuple(prompts.get(job.job_id, ()))))
        self._hand_out(batch)
        if overtaken:
            await self._deliver(overtaken)
