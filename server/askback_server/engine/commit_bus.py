"""Delivers committed changes to the followers in this process.

The bus is made before the parts that publish to it (engine, feed) and those that follow it (timers,
dispatcher, presence, sessions), so that each gets the others by its constructor.

A commit of this replica is delivered whole. Of another replica's commit the parts of the engine get the
announcement, and a session gets what the feed has read for it.

For each job the bus remembers the newest version that is known here. The feed uses it to deliver nothing
twice, and the memory of jobs to refuse a read that a newer commit has overtaken.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from askback_server.domain.events import Event
from askback_server.engine.committed import ChangedPrompts, Committed
from askback_server.ports.announcements import Announcement

_log = logging.getLogger("askback.server.engine")

MAX_VERSIONS = 100_000
"""Jobs whose newest version is remembered; the least recently changed is forgotten first."""


class Follower(Protocol):
    """Receives changed jobs. Called in the event loop; must not block.

    An older version of a job may follow a newer one: it can bring prompts that the newer one did not.
    """

    def __call__(self, item: Committed, /) -> None:
        """Take a changed job with its changed prompts."""


class PromptsFollower(Protocol):
    """Receives changed prompts of any job. Called in the event loop; must not block."""

    def __call__(self, changed: ChangedPrompts, /) -> None:
        """Take the changed prompts of a job, each in a version that may be older than one received before."""


class EventsFollower(Protocol):
    """Receives the events of one job. Called in the event loop; must not block."""

    def __call__(self, events: Sequence[Event], /) -> None:
        """Take events of this replica; none if another replica has written some, which must be read."""


class BatchFollower(Protocol):
    """Receives all that this replica committed at once. Called in the event loop; must not block or raise."""

    def __call__(self, batch: Sequence[Committed], /) -> None:
        """Take the commits of one write."""


class AnnouncementFollower(Protocol):
    """Receives what other replicas announce. Called in the event loop; must not block or raise."""

    def __call__(self, announced: Sequence[Announcement], /) -> None:
        """Take announcements."""


F = TypeVar("F")
T = TypeVar("T")


class CommitBus:
    """Fan-out of commits within one process."""

    def __init__(self) -> None:
        self._batch_followers: list[BatchFollower] = []
        self._announcement_followers: list[AnnouncementFollower] = []
        # By job id, empty for all jobs. Each follower has a key of its own: a session that changes its filter
        # begins to follow before it stops. Dictionaries keep the order, because simulated runs must depend on
        # their seed only.
        self._job_followers: dict[str, dict[object, Follower]] = {}
        self._prompts_followers: dict[str, dict[object, PromptsFollower]] = {}
        self._events_followers: dict[str, dict[object, EventsFollower]] = {}
        self._versions: OrderedDict[str, int] = OrderedDict()

    def follow_batches(self, follower: BatchFollower) -> None:
        """Follow every batch of this replica, for as long as the bus exists: for parts of the engine."""
        self._batch_followers.append(follower)

    def follow_announcements(self, follower: AnnouncementFollower) -> None:
        """Follow the announcements of other replicas, for as long as the bus exists."""
        self._announcement_followers.append(follower)

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Follow every job. Returns a function that stops it."""
        return _add(self._job_followers, "", follower)

    def follow_job(self, job_id: str, follower: Follower) -> Callable[[], None]:
        """Follow one job. Returns a function that stops it."""
        return _add(self._job_followers, job_id, follower)

    def follow_prompts(self, job_id: str, follower: PromptsFollower) -> Callable[[], None]:
        """Follow the prompts of one job, or of all if the id is empty. Returns a function that stops it."""
        return _add(self._prompts_followers, job_id, follower)

    def follow_events(self, job_id: str, follower: EventsFollower) -> Callable[[], None]:
        """Follow the events of one job. Returns a function that stops it."""
        return _add(self._events_followers, job_id, follower)

    @property
    def is_followed(self) -> bool:
        """Whether any session follows something."""
        return any((self._job_followers, self._prompts_followers, self._events_followers))

    def has_followers(self, job_id: str) -> bool:
        """Whether a follower follows this job by its id."""
        return job_id in self._job_followers

    def version_of(self, job_id: str) -> int:
        """The newest version of a job that is known here; 0 if there is none, or it is forgotten."""
        return self._versions.get(job_id, 0)

    def note_version(self, job_id: str, version: int) -> None:
        """Remember that a version is known; an older one changes nothing."""
        self._versions[job_id] = max(version, self._versions.get(job_id, 0))
        self._versions.move_to_end(job_id)
        if len(self._versions) > MAX_VERSIONS:
            self._versions.popitem(last=False)

    def forget_version(self, job_id: str) -> None:
        """Forget the version of a job, because the database may not have it."""
        self._versions.pop(job_id, None)

    def publish(self, batch: Sequence[Committed]) -> None:
        """Deliver commits of this replica: to the parts of the engine as one batch, to sessions one by
        one."""
        for receive in self._batch_followers:
            receive(batch)
        for item in batch:
            self.deliver(item)
            self.deliver_events(item.job.job_id, item.events)

    def announce(self, announced: Sequence[Announcement]) -> None:
        """Deliver announcements of other replicas to the parts of the engine."""
        for receive in self._announcement_followers:
            receive(announced)

    def deliver(self, item: Committed) -> None:
        """Deliver a changed job and its changed prompts to sessions."""
        job_id = item.job.job_id
        if item.prompts or item.lost:
            self.deliver_prompts(ChangedPrompts(job_id, item.job.version, item.prompts, item.lost))
        self._call(job_id, _followers_of(self._job_followers, job_id), item)

    def deliver_prompts(self, changed: ChangedPrompts) -> None:
        """Deliver changed prompts, without their job, to sessions."""
        job_id = changed.job_id
        self._call(job_id, _followers_of(self._prompts_followers, job_id), changed)

    def deliver_events(self, job_id: str, events: Sequence[Event] = ()) -> None:
        """Deliver events of a job, or that there are some to be read."""
        self._call(job_id, _followers_of(self._events_followers, job_id), events)

    def _call(self, job_id: str, followers: Sequence[Callable[[T], None]], item: T) -> None:
        for follow in followers:
            try:
                follow(item)
            except Exception:
                _log.exception("a follower of job %s failed", job_id, extra={"job_id": job_id})


def _add(by_job: dict[str, dict[object, F]], job_id: str, follower: F) -> Callable[[], None]:
    key = object()
    by_job.setdefault(job_id, {})[key] = follower
    return partial(_remove, by_job, job_id, key)


def _remove(by_job: dict[str, dict[object, F]], job_id: str, key: object) -> None:
    followers = by_job.get(job_id, {})
    followers.pop(key, None)
    if not followers:
        by_job.pop(job_id, None)


def _followers_of(by_job: dict[str, dict[object, F]], job_id: str) -> list[F]:
    """Those of all jobs, then those of one."""
    return [*by_job.get("", {}).values(), *by_job.get(job_id, {}).values()]
