"""The storage of a replica: one opened database."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from askback_server.ports.absences import AbsenceStore
from askback_server.ports.audit import AuditStore
from askback_server.ports.census import CensusStore
from askback_server.ports.checkpoints import CheckpointStore
from askback_server.ports.overview import OverviewStore
from askback_server.ports.people import PeopleStore
from askback_server.ports.presence import PresenceStore
from askback_server.ports.queue_locks import QueueLocks
from askback_server.ports.rules import RuleStore
from askback_server.ports.sign_outs import SignOutStore
from askback_server.ports.storage import FeedStore, JobStore, WorkQueue
from askback_server.ports.wakeups import Wakeups
from askback_server.ports.worker_sessions import SessionStore


class Storage(Protocol):
    """An opened database."""

    @property
    def jobs(self) -> JobStore:
        """Jobs with their prompts, answers, checkpoints and events."""

    @property
    def queue(self) -> WorkQueue:
        """Queries of timers, dispatch and sweep."""

    @property
    def sessions(self) -> SessionStore:
        """Worker sessions."""

    @property
    def queue_locks(self) -> QueueLocks:
        """Locks on queues with a limit."""

    @property
    def presence(self) -> PresenceStore:
        """The views of the consoles at each replica."""

    @property
    def sign_outs(self) -> SignOutStore:
        """Ended sign-in sessions."""

    @property
    def people(self) -> PeopleStore:
        """The directory of people."""

    @property
    def rules(self) -> RuleStore:
        """Rules that answer prompts."""

    @property
    def absences(self) -> AbsenceStore:
        """The absences of people."""

    @property
    def overview(self) -> OverviewStore:
        """Counts by the hour, and of what is open now."""

    @property
    def checkpoints(self) -> CheckpointStore:
        """Checkpoints over the chains of jobs."""

    @property
    def audit(self) -> AuditStore:
        """Everything that is stored of a job, for its verification."""

    @property
    def feed(self) -> FeedStore:
        """The event log of all jobs."""

    @property
    def census(self) -> CensusStore:
        """Counts for metrics."""

    @property
    def wakeups(self) -> Wakeups:
        """Announcements between the replicas of this database."""

    async def ping(self) -> datetime:
        """The database's time. Raises StorageUnavailable."""

    async def secret(self) -> bytes:
        """The key that signs resume and page tokens, shared by all replicas of a database."""

    async def close(self) -> None:
        """Close every connection."""
