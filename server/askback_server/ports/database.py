"""A database, opened: all that Askback keeps in it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from askback_server.ports.census import CensusStore
from askback_server.ports.presence import PresenceStore
from askback_server.ports.queue_locks import QueueLocks
from askback_server.ports.storage import FeedStore, JobStore, SessionStore, WorkQueue
from askback_server.ports.wakeups import Wakeups


class Storage(Protocol):
    """A database, opened."""

    @property
    def jobs(self) -> JobStore:
        """Jobs with all that hangs on them."""

    @property
    def queue(self) -> WorkQueue:
        """What timers, dispatch and sweep look for."""

    @property
    def sessions(self) -> SessionStore:
        """Worker sessions."""

    @property
    def queue_locks(self) -> QueueLocks:
        """Who may lease jobs of queues with a limit."""

    @property
    def presence(self) -> PresenceStore:
        """Who is there."""

    @property
    def feed(self) -> FeedStore:
        """The log of all jobs."""

    @property
    def census(self) -> CensusStore:
        """Counting for those who watch over the service."""

    @property
    def wakeups(self) -> Wakeups:
        """Calls between the replicas of this database."""

    async def ping(self) -> datetime:
        """The database's time. Raises StorageUnavailable."""

    async def secret(self) -> bytes:
        """The key that signs resume and page tokens: the same for all replicas of a database."""

    async def close(self) -> None:
        """Close every connection."""
