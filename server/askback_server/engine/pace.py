"""The pace of background work: how much at once, and when to go on.

It counts what others do: the changes of jobs that this replica commits, and those that other replicas
announce. While there are none, a step is large and the next one follows at once. Otherwise steps are small,
and after each one others get their turn: a change for each row that the step has written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from askback_server.engine.committed import Committed
from askback_server.ports.announcements import Announcement

SMALL_STEP, LARGE_STEP = 48, 192
"""Rows of a step beside others, and without them. Even a large one takes about 10 ms."""
MAX_WAIT_SECONDS = 0.05
"""Maximum seconds for which a step waits for changes of others: if they are few, it delays few of them."""


class Pace:
    """Paces one background task."""

    def __init__(self, is_idle: Callable[[], bool]) -> None:
        """`is_idle` tells whether no command waits or is being written."""
        self._is_idle = is_idle
        self._size = LARGE_STEP
        self._others = 0
        """Changes of others since the start."""
        self._goal = 0
        """At how many of them the next step is due."""
        self._seen = 0
        """How many there were when the last step was due."""
        self._reached = asyncio.Event()

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Count the changes of a commit; a follower of batches. Deletions do not count: most are the task's
        own."""
        self._count(sum(not item.deleted for item in batch))

    def on_announced(self, announced: Sequence[Announcement]) -> None:
        """Count changes of other replicas; a follower of announcements."""
        self._count(sum(not item.deleted for item in announced))

    def _count(self, changes: int) -> None:
        self._others += changes
        if self._others >= self._goal:
            self._reached.set()

    async def turn(self, written: int) -> int:
        """Wait until the next step is due, after one that has written some rows. Returns how many it may
        write. It may write more if it must: then the next turn comes later."""
        if self._others == self._seen and self._is_idle():
            self._size = min(2 * self._size, LARGE_STEP)
        else:
            await self._wait_for_others(min(written, LARGE_STEP))
            self._size = SMALL_STEP
        self._seen = self._others
        return self._size

    async def _wait_for_others(self, changes: int) -> None:
        """Wait until that many changes were made since the last step began, or MAX_WAIT_SECONDS."""
        self._goal = self._seen + changes
        self._reached.clear()
        if self._others < self._goal:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAX_WAIT_SECONDS):
                    await self._reached.wait()
