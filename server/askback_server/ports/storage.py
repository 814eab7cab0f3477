"""What the engine needs of a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from askback_server.domain.aggregate import NO_GUARD, Aggregate, Guard
from askback_server.domain.commands import PromptRef, SessionRef
from askback_server.domain.events import Event
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job
from askback_server.domain.prompts import Prompt, Submission
from askback_server.domain.retries import KeptAnswer, KeptCheckpoint, Retry
from askback_server.ports.queries import JobFilter, JobsPage, PromptFilter, PromptPosition, PromptsPage


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
    retry: Retry | None = None
    """Of a new job: what is copied from the job that it repeats, which must be there still."""
    events: list[Event] = field(default_factory=list)
    deleted: bool = False


class Lost(StrEnum):
    """Why a guarded write of one job changed nothing."""

    VERSION = "VERSION"
    """Somebody else changed the job, or it is gone, or its request_id exists already."""
    SESSION = "SESSION"
    """The session in the guard has expired."""
    MOVED = "MOVED"
    """The session in the guard lives, under a newer epoch."""
    TIME = "TIME"
    """The database's clock is outside the guard's bounds."""


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a batch: why the losers lost (winners are not in it), and the database's time."""

    lost: dict[str, Lost]
    now: datetime


class UnknownOutcome(Exception):
    """The connection broke while a batch was being written: it may have been committed or not.

    Writing the very same batch again settles it (docs/design.md 4.3).
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

    async def first_jobs(self, job_ids: Sequence[str], max_bytes: int) -> tuple[list[Job], int]:
        """The first of these jobs, those that exist, in no order: as many as take about `max_bytes`. And how
        many of the ids that are, at least one."""

    async def first_prompts(self, prompt_ids: Sequence[str], max_bytes: int) -> tuple[list[Prompt], int]:
        """The same of prompts."""

    async def find_prompt(self, ref: PromptRef) -> Prompt | None:
        """One prompt."""

    async def count_jobs(self, filter: JobFilter) -> int:
        """How many jobs match."""

    async def list_jobs(self, filter: JobFilter, limit: int, after: str | None, max_bytes: int) -> JobsPage:
        """A page of jobs, newest first, below the id `after`; at least one even if it passes max_bytes."""

    async def list_prompts(
        self, filter: PromptFilter, limit: int, after: PromptPosition | None, max_bytes: int
    ) -> PromptsPage:
        """A page of prompts by priority, deadline, age; at least one even if it passes max_bytes."""

    async def list_submissions(self, prompt_id: str, limit: int, after: int) -> list[Submission]:
        """Submissions above the seq `after`, oldest first."""

    async def list_checkpoints(self, job_id: str, limit: int, after: str) -> list[Checkpoint]:
        """Checkpoints with keys above `after`, by key."""

    async def kept_answers(self, job_id: str) -> list[KeptAnswer]:
        """The answers of an ended job that a retry may carry over, by key: those that people gave in it, and
        those that it carried itself and never asked for."""

    async def kept_checkpoints(self, job_id: str) -> list[KeptCheckpoint]:
        """The checkpoints of an ended job without their values, by key."""

    async def get_understanding(self, job_id: str) -> DeepUnderstanding | None:
        """A job's deep-understanding state."""

    async def list_events(self, job_id: str, after_seq: int, limit: int) -> list[Event]:
        """A job's events above a seq, in order."""


class WorkQueue(Protocol):
    """What timers, dispatch and sweep look for. All of it is hints: the write decides."""

    async def claimable(self, namespace: str, limits: Mapping[str, int]) -> dict[str, list[str]]:
        """The ids of jobs that are ready by the database's clock, by their type, each type's by priority
        and age and no more than its limit. A type without any is not in it."""

    async def due(self, ahead: timedelta, limit: int) -> tuple[datetime, list[tuple[datetime, str, str]]]:
        """The database's time; and (when, what, job id) of what is due so far ahead of it, soonest first.

        What: 'due', a step, reminder or deadline; 'cancel', the end of a cancel wish's grace.
        """

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


@dataclass(frozen=True, slots=True)
class Doubt:
    """A lease that its worker may not have: it has not confirmed the receipt, or does not name the lease."""

    token: int
    version: int = 0
    """The job's version when it was sent, if the worker never confirmed that it received it; else 0."""
    since: float | None = None
    """The Unix time at which the worker listed its leases for the first time without this one."""


Doubts = dict[str, Doubt]
"""By job id."""


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

    async def change_doubts(self, session: SessionRef, change: Callable[[Doubts], Doubts]) -> None:
        """Replace the doubts of a session that lives in this epoch (0: any), in one transaction."""

    async def expired_doubts(self, limit: int) -> list[tuple[str, Doubts]]:
        """Expired sessions that have doubts; `reap` leaves them until `settle` was called."""

    async def settle(self, session_id: str) -> None:
        """The doubts of a session are dealt with."""

    async def epochs(self, session_ids: Sequence[str]) -> dict[str, int]:
        """The epochs of those of the sessions that live."""

    async def beat(self, sessions: Sequence[tuple[str, int]], ttl: float) -> dict[str, datetime]:
        """Keep those of the (session, epoch) that live: their new expiry by id. The rest are lost."""

    async def close(self, session_id: str, epoch: int) -> bool:
        """Delete a session in an orderly end."""

    async def reap(self) -> int:
        """Delete expired sessions without doubts. Returns how many."""

    async def leases(self, session_id: str) -> dict[str, tuple[int, int]]:
        """The jobs that a session holds: token and version by job id."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the feed: everything up to it has been delivered. Ordered."""

    xid: int = 0
    id: int = 0
    mark: str = field(default="", compare=False)
    """Of the event at this place; another history of the database has another there."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A job that changed, and up to which seq the feed has it."""

    job_id: str
    seq: int
    prompt_ids: frozenset[str] = frozenset()
    namespace: str = ""
    late: frozenset[str] = frozenset()
    """Those of the prompts that had a late answer."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose transaction keeps the log from being read further; `age` in seconds, None if it is hidden."""

    pid: int
    """0 for a prepared transaction."""
    prepared: str
    database: str
    user: str
    application: str
    age: float | None


class FeedStore(Protocol):
    """The log of all jobs, read in an order in which nothing can appear later before a position."""

    async def epoch(self) -> str:
        """Names this database's history: tokens of another are not honoured."""

    async def end_history(self, name: str) -> None:
        """Give the history a new name, if it is still called `name`: commits were lost."""

    async def head(self) -> Position:
        """The newest position that is safe to resume from."""

    async def tail(self) -> Position:
        """The oldest position that can still be resumed from."""

    async def after(
        self, position: Position, limit: int, *, settled: bool = True
    ) -> tuple[list[Changed], Position]:
        """What changed after a position, by job, and the position that this reaches.

        Not only what is `settled`: what is committed while an older transaction runs is in it too. Then the
        position is good for reading on at once, and for nothing else.
        """

    async def of_jobs(self, marks: Mapping[str, int]) -> list[Changed]:
        """What changed of these jobs above a seq each, settled or not."""

    async def knows(self, position: Position) -> bool:
        """Whether a position that this log once gave is still in its past. It is not after the database
        was restored from a backup, or lost its last commits in a failover."""

    async def held_back(self) -> float:
        """Age in seconds of the oldest committed event that is not settled yet; 0 if there is none."""

    async def holder(self) -> Holder | None:
        """Whose transaction holds the unsettled back, if that may be known."""
