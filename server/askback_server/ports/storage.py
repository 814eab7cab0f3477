"""What the engine needs of a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from askback_server.domain.aggregate import NO_GUARD, Aggregate, Guard
from askback_server.domain.commands import PromptRef
from askback_server.domain.events import Event
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job
from askback_server.domain.prompts import Prompt, Submission
from askback_server.ports.queries import JobFilter, JobsPage, PromptFilter, PromptsPage


@dataclass(slots=True)
class JobWrite:
    """Everything one batch writes for one job: final images, and every event.

    `expected` is the version that the decision was made on; 0 makes a new job.
    """

    job: Job
    expected: int
    guard: Guard = NO_GUARD
    new_prompts: dict[str, Prompt] = field(default_factory=dict)
    changed_prompts: dict[str, tuple[Prompt, bool]] = field(default_factory=dict)
    """By id; True where the content was amended too."""
    submissions: list[Submission] = field(default_factory=list)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    understanding: DeepUnderstanding | None = None
    events: list[Event] = field(default_factory=list)
    deleted: bool = False


class Lost(StrEnum):
    """Why a guarded write of one job changed nothing."""

    VERSION = "VERSION"
    """Somebody else changed the job, or it is gone, or its request_id exists already."""
    SESSION = "SESSION"
    """The session in the guard has expired, or has a newer epoch."""
    TIME = "TIME"
    """The database's clock is outside the guard's bounds."""


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a batch: why the losers lost (winners are not in it), and the database's time."""

    lost: dict[str, Lost]
    now: datetime


class UnknownOutcome(Exception):
    """The connection broke while a batch was being written: it may have been committed or not.

    Writing the very same batch again settles it (DESIGN 4.3).
    """


class BadData(Exception):
    """The database refused the data of a batch; nothing of it was written."""


@dataclass(slots=True)
class Wanted:
    """Which parts of one aggregate a batch needs from the database."""

    job_id: str = ""
    request: tuple[str, str] | None = None
    """(namespace, request_id) in place of the job's id."""
    prompt_ids: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    submissions: set[tuple[str, str]] = field(default_factory=set)


class JobStore(Protocol):
    """Jobs with all that hangs on them. Reads take no locks."""

    async def write(self, batch: Sequence[JobWrite]) -> Written:
        """Write a batch as one durable, guarded, set-based write.

        Raises UnknownOutcome, BadData, StorageUnavailable.
        """

    async def load(self, wanted: Sequence[Wanted]) -> list[Aggregate]:
        """The aggregates, in order; one without a job where there is none."""

    async def get_jobs(self, job_ids: Iterable[str]) -> list[Job]:
        """Jobs by id, those that exist, in no order."""

    async def get_prompts(self, prompt_ids: Iterable[str]) -> list[Prompt]:
        """Prompts by id, those that exist, in no order."""

    async def find_prompt(self, ref: PromptRef) -> Prompt | None:
        """One prompt."""

    async def list_jobs(self, filter: JobFilter, limit: int, after: str | None, max_bytes: int) -> JobsPage:
        """A page of jobs, newest first, below the id `after`; at least one even if it passes max_bytes."""

    async def list_prompts(
        self, filter: PromptFilter, limit: int, after: tuple[int, str | None, str] | None, max_bytes: int
    ) -> PromptsPage:
        """A page of prompts by priority, deadline, age; at least one even if it passes max_bytes."""

    async def list_submissions(self, prompt_id: str, limit: int, after: int) -> list[Submission]:
        """Submissions above the seq `after`, oldest first."""

    async def list_checkpoints(self, job_id: str, limit: int, after: str) -> list[Checkpoint]:
        """Checkpoints with keys above `after`, by key."""

    async def get_understanding(self, job_id: str) -> DeepUnderstanding | None:
        """A job's deep-understanding state."""

    async def list_events(self, job_id: str, after_seq: int, limit: int) -> list[Event]:
        """A job's events above a seq, in order."""


class WorkQueue(Protocol):
    """What timers, dispatch and sweep look for. All of it is hints: the write decides."""

    async def claimable(self, namespace: str, limits: Mapping[str, int]) -> dict[str, list[str]]:
        """The ids of jobs that are ready by the database's clock, by their type, each type's by priority
        and age and no more than its limit. A type without any is not in it."""

    async def due(self, until: datetime, limit: int) -> list[tuple[datetime, str, str]]:
        """(when, 'prompt' or 'cancel', job id) of deadlines up to a time, soonest first."""

    async def orphans(self, limit: int) -> list[tuple[str, str]]:
        """(job id, session id) of jobs whose session row is gone."""

    async def expired(self, limit: int) -> list[str]:
        """Finished jobs whose retention is over."""

    async def drop_events(self, keep: datetime) -> int:
        """Drop whole days of events that no job that is still stored, and no resume token made
        after `keep`, can need. Returns how many days (SQLite: rows) went."""

    async def make_room(self) -> None:
        """Prepare the days ahead for events, where the database needs that."""


@dataclass(frozen=True, slots=True)
class WorkerSession:
    """A worker's session row."""

    session_id: str
    namespace: str
    worker_id: str
    subject: str
    replica: str
    epoch: int
    expires_at: datetime


class SessionStore(Protocol):
    """Worker sessions: one heartbeat row each, which keeps all the jobs of its worker.

    Times are the database's. An expired session never revives.
    """

    async def open(
        self, namespace: str, worker_id: str, subject: str, replica: str, ttl: float
    ) -> tuple[WorkerSession, str]:
        """A new session and its secret. `ttl` in seconds."""

    async def resume(
        self, session_id: str, secret: str, subject: str, replica: str, ttl: float
    ) -> WorkerSession | None:
        """Take a live session over: its epoch rises. None if it is gone, or the secret is wrong."""

    async def extend(self, session_id: str, secret: str, subject: str, ttl: float) -> datetime | None:
        """Keep a live session without taking it over. Returns the new expiry; None if it is gone."""

    async def beat(self, sessions: Sequence[tuple[str, int]], ttl: float) -> dict[str, datetime]:
        """Keep those of the (session, epoch) that live: their new expiry by id. The rest are lost."""

    async def close(self, session_id: str, epoch: int) -> bool:
        """Delete a session in an orderly end."""

    async def reap(self) -> int:
        """Delete expired sessions. Returns how many."""

    async def held(self, session_id: str) -> list[Job]:
        """The jobs that a session holds."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the feed: everything up to it has been delivered. Ordered."""

    xid: int = 0
    id: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
    """A job that changed, and up to which seq the feed has it."""

    job_id: str
    seq: int
    prompt_ids: frozenset[str] = frozenset()
    namespace: str = ""


class FeedStore(Protocol):
    """The log of all jobs, read in an order in which nothing can appear later before a position."""

    async def epoch(self) -> str:
        """Names this database's history: tokens of another are not honoured."""

    async def head(self) -> Position:
        """The newest position that is safe to resume from."""

    async def tail(self) -> Position:
        """The oldest position that can still be resumed from."""

    async def after(self, position: Position, limit: int) -> tuple[list[Changed], Position]:
        """What changed after a position, by job, and the position that this reaches."""


AGES = (60.0, 300.0, 3_600.0, 86_400.0, 604_800.0)
"""Ages in seconds that open prompts are told apart by; a last class has those older than all."""


@dataclass(frozen=True, slots=True)
class OpenPrompts:
    """The open prompts of one kind: how many of each age class (see AGES), and the oldest's age."""

    kind: str
    by_age: tuple[int, ...]
    oldest: float
    unattended: int
    """Those that nobody is there for."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """The jobs of one type that any worker may take now, and for how long the first has waited."""

    job_type: str
    jobs: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Census:
    """What a whole database holds, by its own clock; ages in seconds.

    Of each table no more than a bound is counted; `partial` says that there is more.
    """

    prompts: tuple[OpenPrompts, ...]
    runnable: tuple[Runnable, ...]
    held: Mapping[str, int]
    """Jobs that a worker's session holds, by job type."""
    sessions: int
    """Worker sessions that have not expired."""
    partial: bool


class CensusStore(Protocol):
    """Counting for those who watch over the service."""

    async def take(self, most: int) -> Census:
        """Count, at the most so many rows of each table. Raises StorageUnavailable."""

    async def behind(self, position: Position) -> float:
        """How old the first event after a feed's position is, in seconds; 0 if there is none."""

    def connections(self) -> Mapping[str, int]:
        """Connections of the pool for reads: `in_use` and `idle`."""
