"""Delivers committed changes to the followers in this process.

The bus is made before the parts that publish to it (engine, feed) and those that follow it (timers,
dispatcher, presence, sessions), so that each gets the others by its constructor.

For each job the bus remembers the last version that was delivered. The feed uses it to deliver nothing twice,
and the memory of jobs to refuse a read that a newer commit has overtaken.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from askback_server.engine.committed import Committed

_log = logging.getLogger("askback.server.engine")

MAX_VERSIONS = 100_000
"""Jobs whose last delivered version is remembered; the least recently delivered is forgotten first."""


class Follower(Protocol):
    """Receives one commit after another. Called in the event loop; must not block.

    Versions of one job arrive in rising order.
    """

    def __call__(self, item: Committed, /) -> None:
        """Take one commit."""


class BatchFollower(Protocol):
    """Receives all that was committed at once. Called in the event loop; must not block or raise."""

    def __call__(self, batch: Sequence[Committed], /) -> None:
        """Take the commits of one write."""


class CommitBus:
    """Fan-out of commits within one process."""

    def __init__(self) -> None:
        self._batch_followers: list[BatchFollower] = []
        self._followers: set[Follower] = set()
        """Those of every job."""
        self._by_job: dict[str, set[Follower]] = {}
        self._versions: OrderedDict[str, int] = OrderedDict()

    def follow_batches(self, follower: BatchFollower) -> None:
        """Follow every batch, for as long as the bus exists: for parts of the engine."""
        self._batch_followers.append(follower)

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Follow every job. Returns a function that stops it."""
        self._followers.add(follower)
        return lambda: self._followers.discard(follower)

    def follow_job(self, job_id: str, follower: Follower) -> Callable[[], None]:
        """Follow one job. Returns a function that stops it."""
        self._by_job.setdefault(job_id, set()).add(follower)

        def stop() -> None:
            followers = self._by_job.get(job_id)
            if followers is not None:
                followers.discard(follower)
                if not followers:
                    del self._by_job[job_id]

        return stop

    def has_followers(self, job_id: str) -> bool:
        """Whether a follower follows this job or all jobs; batch followers do not count."""
        return bool(self._followers) or job_id in self._by_job

    def version_of(self, job_id: str) -> int:
        """The last version of a job that was delivered; 0 if there is none, or it is forgotten."""
        return self._versions.get(job_id, 0)

    def note_version(self, job_id: str, version: int) -> None:
        """Remember that a version is delivered; an older one changes nothing."""
        self._versions[job_id] = max(version, self._versions.get(job_id, 0))
        self._versions.move_to_end(job_id)
        if len(self._versions) > MAX_VERSIONS:
            self._versions.popitem(last=False)

    def deliver(self, batch: Sequence[Committed]) -> None:
        """Call the followers: each with the whole batch, or with one item after the other."""
        for receive in self._batch_followers:
            receive(batch)
        for item in batch:
            for follow in (*self._followers, *self._by_job.get(item.job.job_id, ())):
                try:
                    follow(item)
                except Exception:
                    _log.exception(
                        "a follower of job %s failed", item.job.job_id, extra={"job_id": item.job.job_id}
                    )
