"""Finds out which of the queues that workers take have jobs, where that is not known from commits.

This is asked when a worker arrives, and with every poll. As many queues as fit into a scan are scanned. Of
more, those with jobs are searched for in the index of ready jobs: a statement goes from one job type that has
a job to the next, in many namespaces at once. So the search costs nothing for queues without jobs, however
many the workers take.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice

from askback_server.domain.errors import AskbackError
from askback_server.engine.backlog import MAX_QUEUES
from askback_server.engine.consumers import Consumer, Consumers
from askback_server.ports.storage import WorkQueue

_log = logging.getLogger("askback.server.engine")

POLL_SECONDS = 0.5
"""Seconds between two polls, if few queues have jobs."""
MAX_STATEMENTS = 8
"""Statements of a search in POLL_SECONDS, about a tenth of a CPU of the database. After a search that took
more, the next poll comes later."""
MAX_FOUND = 512
"""Queues that a statement finds at most, and namespaces that it looks into, so that none takes long."""


@dataclass(slots=True, eq=False)
class Walk:
    """The search in one namespace."""

    wanted: set[frozenset[str]] = field(default_factory=set)
    """The job types of the groups of workers that ask."""
    arrived: list[Consumer] = field(default_factory=list)
    """Consumers that ask. At the end they learn which of their queues are empty."""
    after: str = ""
    """The last job type found."""
    found: set[str] = field(default_factory=set)
    """All job types found."""

    def size(self) -> int:
        """The number of queues asked about."""
        return sum(map(len, self.wanted))


class QueueSearch:
    """The searches of one replica: one statement at a time, namespaces in turn."""

    def __init__(
        self, queue: WorkQueue, consumers: Consumers, request: Callable[[str, Mapping[str, bool]], None]
    ) -> None:
        """`request` is called with the queues of a namespace that are to be scanned, and whether each is
        known to have jobs."""
        self._queue = queue
        self._consumers = consumers
        self._request = request
        self._asked: dict[str, Walk] = {}
        """By namespace, walks that have not begun. One of many queues waits for the current one of its
        namespace."""
        self._walks: dict[str, Walk] = {}
        """Those that have begun, the one that waits longest for a statement first."""
        self._is_running = False
        self._statements = 0
        """Of the last search."""

    @property
    def pause(self) -> float:
        """Seconds until the next poll."""
        return POLL_SECONDS * max(1.0, self._statements / MAX_STATEMENTS)

    @property
    def is_due(self) -> bool:
        """Whether something is asked that no `run` looks for."""
        return bool(self._asked or self._walks) and not self._is_running

    def is_pending(self, namespace: str) -> bool:
        """Whether queues of a namespace have not been looked at that were asked about."""
        return namespace in self._asked or namespace in self._walks

    def add(self, consumer: Consumer) -> None:
        """Look at the queues of a consumer that has arrived."""
        walk = self._asked.setdefault(consumer.namespace, Walk())
        walk.wanted.add(consumer.job_types)
        walk.arrived.append(consumer)

    def add_all(self) -> None:
        """Look at all queues for which a consumer has room."""
        for namespace in self._consumers.namespaces:
            if namespace not in self._walks and (wanted := self._consumers.wanted(namespace)):
                self._asked.setdefault(namespace, Walk()).wanted.update(wanted)

    async def run(self) -> None:
        """Look at all that was asked."""
        self._is_running = True
        self._statements = 0
        try:
            while self._asked or self._walks:
                if sum(walk.size() for walk in self._asked.values()) <= MAX_QUEUES:
                    for namespace, walk in self._asked.items():
                        self._request(namespace, dict.fromkeys(chain.from_iterable(walk.wanted), False))
                    self._asked.clear()
                for namespace in [name for name in self._asked if name not in self._walks]:
                    self._walks[namespace] = self._asked.pop(namespace)
                if self._walks:
                    self._statements += 1
                    await self._search()
        except AskbackError as error:
            # The rest remains due.
            _log.warning("cannot search for queues with runnable jobs: %s", error)
            await asyncio.sleep(POLL_SECONDS)
        finally:
            self._is_running = False

    async def _search(self) -> None:
        """Go on in the namespaces that have waited longest, by one statement."""
        part = dict(islice(self._walks.items(), MAX_FOUND))
        limit = MAX_FOUND // len(part)
        found = await self._queue.list_queues({name: walk.after for name, walk in part.items()}, limit)
        for namespace, walk in part.items():
            queues = found.get(namespace, {})
            self._request(namespace, queues)
            walk.found.update(queues)
            del self._walks[namespace]
            if len(queues) == limit:
                walk.after = [*queues][-1]
                self._walks[namespace] = walk  # now behind the others
                continue
            for consumer in self._consumers.still_connected(walk.arrived):
                # About those that were found the scan will tell it, when their jobs are reserved.
                consumer.note_queues_read(consumer.job_types - walk.found)
