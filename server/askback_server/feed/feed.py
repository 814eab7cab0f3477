"""Delivers committed changes to the followers of this replica.

Changes arrive in three ways:

- This replica's engine publishes its own commits.
- Other replicas announce their commits (`ports/announcements.py`). An announcement says enough to decide
  whether a session here can get the change. If none can, nothing is read; else what the session gets is read
  at once, ahead of the log.
- The event log is polled, in an order in which nothing can appear later before a position that was read. It
  contains every commit, announced or not, and it alone advances the position in resume tokens. What was
  announced or published before is skipped.

Announcements only make delivery faster. If one is lost, the next poll brings the change at most
`POLL_SECONDS` later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial

from askback_server.domain.errors import StorageUnavailable
from askback_server.engine.commit_bus import CommitBus, EventsFollower, Follower, PromptsFollower
from askback_server.engine.committed import Committed
from askback_server.engine.hot_jobs import HotJobs
from askback_server.feed.announcing import announce
from askback_server.feed.delivery import Delivery
from askback_server.feed.interests import Interests
from askback_server.feed.known import KnownChanges
from askback_server.ports.announcements import AnnouncedPrompt, Announcement
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.ports.storage import Changed, FeedStore, JobStore, Position
from askback_server.ports.wakeups import NoWakeups, Wakeups

_log = logging.getLogger("askback.server.feed")

POLL_SECONDS = 0.5
"""Seconds between two polls of the log."""
IDLE_POLL_SECONDS = 5.0
"""The same while no session follows anything and no job is in memory: then no change can be late."""
MAX_EVENTS_PER_READ = 5_000
"""Events read per query."""
MAX_NEWS = 10_000
"""Maximum number of announced changes that wait to be read; beyond it the log is read instead."""


class LostHistory(Exception):
    """The database has lost commits that this replica has already seen."""


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
        poll: float = POLL_SECONDS,
    ) -> None:
        self._log = log_store
        self._hot = hot
        self._bus = bus
        self.wakeups = wakeups or NoWakeups()
        self._poll = poll
        self._interests = Interests()
        self._known = KnownChanges(bus)
        self._delivery = Delivery(jobs, hot, bus, self._known, self._interests)
        self._news: dict[str, Announcement] = {}
        """Announced changes to read, by job."""
        self._wake = asyncio.Event()
        self._due = False
        """Whether to read the log now instead of at the next poll."""
        self._positions: dict[Callable[[Position], None], None] = {}
        self.position = Position()
        """Everything up to this position has been delivered."""
        self.epoch = ""

    @property
    def _interval(self) -> float:
        is_needed = self._bus.is_followed or len(self._hot) > 0 or self._positions
        return self._poll if is_needed else max(self._poll, IDLE_POLL_SECONDS)

    def _end_idleness(self) -> None:
        if not self._bus.is_followed:
            self._wake.set()

    def follow_jobs(self, filter: JobFilter, follower: Follower) -> Callable[[], None]:
        """Follow the jobs that may match a filter, and others. Returns a function that stops it."""
        self._end_idleness()
        return partial(_stop_both, self._bus.follow(follower), self._interests.add_watcher(filter))

    def follow_prompts(self, filter: PromptFilter, follower: PromptsFollower) -> Callable[[], None]:
        """Follow the prompts that may match a filter, and others. Returns a function that stops it."""
        self._end_idleness()
        stop = self._bus.follow_prompts(filter.job_id, follower)
        return partial(_stop_both, stop, self._interests.add_view(filter))

    def follow_job(self, job_id: str, follower: Follower) -> Callable[[], None]:
        """Follow one job with its prompts. Returns a function that stops it."""
        self._end_idleness()
        return self._bus.follow_job(job_id, follower)

    def follow_events(self, job_id: str, follower: EventsFollower) -> Callable[[], None]:
        """Follow the events of one job. Returns a function that stops it."""
        self._end_idleness()
        return self._bus.follow_events(job_id, follower)

    def version_of(self, job_id: str) -> int:
        """The newest version of a job that is known here; 0 if there is none, or forgotten.

        A reader of a job that follows it after the read must compare: a newer change was not delivered to it.
        """
        return self._bus.version_of(job_id)

    def follow_position(self, advanced: Callable[[Position], None]) -> Callable[[], None]:
        """Follow the position. Returns a function that stops it."""
        self._positions[advanced] = None
        return partial(self._stop_following_position, advanced)

    def _stop_following_position(self, advanced: Callable[[Position], None]) -> None:
        self._positions.pop(advanced, None)

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
        """Announce commits of this replica to the others, and deliver them, except those that are known.

        The announcement comes first: it takes two ways through the database, and waits for no console here.
        """
        self.wakeups.send(announce(item) for item in batch if item.events)
        self._bus.publish([item for item in batch if self._note_commit(item)])

    def _note_commit(self, item: Committed) -> bool:
        """Note a commit of this replica. Returns whether it must be delivered: it may have been read before,
        together with a later change of another replica."""
        job_id, after, seq = item.job.job_id, item.before, item.job.version
        is_new = not self._known.has(job_id, after, seq)
        self._known.note(job_id, after, seq)
        if is_new:  # otherwise the log may have confirmed it, and does not do so again
            self._known.see(job_id, seq)
        return is_new

    def receive(self, announced: Sequence[Announcement]) -> None:
        """Take announcements of another replica. An empty list says only that it has committed something."""
        if not announced or len(self._news) + len(announced) > MAX_NEWS:
            self._due = True
        else:
            news = [a for a in announced if not self._known.has(a.job_id, a.after, a.seq)]
            for item in news:
                self._take(item)
            self._bus.announce(news)
        if self._due or self._news:
            self._wake.set()

    def _take(self, announced: Announcement) -> None:
        """Have a change read if a session here can get it; otherwise only note it."""
        job_id = announced.job_id
        waiting = self._news.get(job_id)
        version = waiting.seq if waiting is not None else self._bus.version_of(job_id)
        if 0 < version < announced.after:
            # The announcement of the changes before it was lost: read them too.
            announced = Announcement(job_id, version, announced.seq)
        if waiting is not None:
            self._news[job_id] = waiting.merge(announced)
        elif self._delivery.concerns_a_session(announced):
            self._news[job_id] = announced
        else:
            self._delivery.settle(announced)

    async def start(self) -> None:
        """Read the position to start from. Raises StorageUnavailable."""
        self.epoch = await self._log.epoch()
        self.position = await self._log.head()

    async def run(self) -> None:
        """Read announced changes and the log until cancelled.

        While the log cannot be read, the job cache is suspended. After each outage the history is checked.
        Raises LostHistory.
        """
        clock = asyncio.get_running_loop().time
        polled = clock()  # `start` has read the position
        while True:
            try:
                if not self._hot.is_live:
                    await self._check_history()
                await self._read_news()
                if self._due or clock() >= polled + self._interval:
                    self._due = False
                    more = await self.read()
                    self._due = self._due or more
                    polled = clock()
                self._hot.resume()
                self._hot.drop_idle()
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
            if not self._due and not self._news:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    # `wait_for` is avoided: before Python 3.12 it swallows a cancellation that coincides with
                    # the wake-up.
                    async with asyncio.timeout_at(polled + self._interval):
                        await self._wake.wait()

    async def _check_history(self) -> None:
        """Check after an outage that the database still has what this replica has seen, and forget what was
        only announced. Raises LostHistory, StorageUnavailable."""
        if not await self._has_what_was_seen():
            await self._log.end_history(self.epoch)
            raise LostHistory(
                "the database has lost commits that this replica has seen (a failover to a standby "
                "that was behind, or a restore): what it knows may be wrong, and it must restart"
            )
        self._news.clear()
        self._known.forget_announced()
        self._due = True

    async def _has_what_was_seen(self) -> bool:
        """Whether the database has this replica's history, its position, and the versions above it."""
        if await self._log.epoch() != self.epoch or not await self._log.has_position(self.position):
            return False
        seen = list(self._known.seen.items())
        for at in range(0, len(seen), MAX_EVENTS_PER_READ):
            before = {job_id: version - 1 for job_id, version in seen[at : at + MAX_EVENTS_PER_READ]}
            if {change.job_id for change in await self._log.of_jobs(before)} != before.keys():
                return False
        return True

    async def _read_news(self) -> None:
        """Deliver the announced changes, including those above the log's horizon: the changes of a single job
        are visible without a gap, because its writers wait for each other on the job's row."""
        while self._news:
            waiting, self._news = self._news, {}
            # The log may have brought some since they were announced.
            news = {i: item for i, item in waiting.items() if not self._known.has(i, item.after, item.seq)}
            bare = {item.job_id: item.after for item in news.values() if item.is_bare}
            found = [_of_log(change) for change in await self._log.of_jobs(bare)] if bare else []
            await self._delivery.deliver([*found, *(item for item in news.values() if not item.is_bare)])

    async def read(self) -> bool:
        """Deliver the changes after the position. Returns whether there may be more."""
        changed, position = await self._log.after(self.position, MAX_EVENTS_PER_READ)
        self._known.correct(changed)
        unknown = [_of_log(c) for c in changed if not self._known.has(c.job_id, c.after, c.seq)]
        if unknown:
            await self._delivery.deliver(unknown)
        self._known.note_log(changed)
        advanced = position != self.position
        if advanced:
            self.position = position
            for follower in tuple(self._positions):
                follower(position)
        return advanced and len(changed) > MAX_EVENTS_PER_READ // 10


def _of_log(change: Changed) -> Announcement:
    """What the log says of a change: any view of the namespace may show its prompts."""
    prompts = tuple(AnnouncedPrompt(i, None, i in change.late) for i in sorted(change.prompt_ids))
    return Announcement(change.job_id, change.after, change.seq, change.namespace, prompts=prompts)


def _stop_both(one: Callable[[], None], other: Callable[[], None]) -> None:
    one()
    other()
