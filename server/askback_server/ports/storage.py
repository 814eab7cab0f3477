"""Storage of jobs, their queue, and the event log, as the engine needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from askback_server.domain.aggregate import NO_GUARD, Aggregate, Guard
from askback_server.domain.chain import Link
from askback_server.domain.commands import PromptRef
from askback_server.domain.events import Event
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job
from askback_server.domain.prompts import Prompt, Submission
from askback_server.domain.retries import KeptAnswer, KeptCheckpoint, Retry
from askback_server.ports.queries import JobFilter, JobsPage, PromptFilter, PromptPosition, PromptsPage


@dataclass(slots=True)
class JobWrite:
    """Everything that a batch writes for one job: final images of rows, and every event.

    `expected` is the version on which the decision was made; 0 creates a job.
    """

    job: Job
    expected: int
    guard: Guard = NO_GUARD
    new_prompts: dict[str, Prompt] = field(default_factory=dict)
    changed_prompts: dict[str, tuple[Prompt, bool]] = field(default_factory=dict)
    """By id; True if the content was amended too."""
    submissions: list[Submission] = field(default_factory=list)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    understanding: DeepUnderstanding | None = None
    retry: Retry | None = None
    """For a new job: the data copied from the job that it retries. The write fails if that job was
    deleted."""
    events: list[Event] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    """The links of the events in the chain of the job, in their order. Empty: without a chain."""
    deleted: bool = False
    in_steps: bool = False
    """Of a deletion: a job with many rows is deleted by several writes, of which each but the last one
    deletes some rows and is lost as PARTLY. Only for a job of which nothing is needed any more."""


class Lost(StrEnum):
    """Why the guarded write of a job was not done."""

    VERSION = "VERSION"
    """The job was changed or deleted by another writer, or its request_id exists already."""
    SESSION = "SESSION"
    """The session in the guard has expired."""
    MOVED = "MOVED"
    """The session in the guard lives, under a newer epoch: another stream has resumed it."""
    TIME = "TIME"
    """The database's clock is outside the guard's bounds."""
    PARTLY = "PARTLY"
    """The job is deleted in steps, and rows of it remain. The other reasons mean that nothing was changed."""


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a batch: why jobs were not written (written ones are not listed), and the database's
    time."""

    lost: dict[str, Lost]
    now: datetime


class UnknownOutcome(Exception):
    """The connection broke while a batch was being written: it may have been committed or not.

    Writing the same batch again settles it (docs/design.md 4.3).
    """


class BadData(Exception):
    """The database refused the data of a batch. Nothing of the batch was written."""


@dataclass(slots=True)
class Wanted:
    """Which parts of one aggregate a batch needs."""

    job_id: str = ""
    request: tuple[str, str] | None = None
    """(namespace, request_id) instead of the job's id."""
    is_head: bool = False
    """Only the job itself, without its documents (input, result, failure, progress) and other rows."""
    head: Job | None = None
    """The head, if the caller has read it: the guard of the write tells whether it is still current."""
    prompt_ids: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    submissions: set[tuple[str, str]] = field(default_factory=set)


class JobStore(Protocol):
    """Jobs with their prompts, answers, checkpoints and events. Reads take no locks."""

    async def write(self, batch: Sequence[JobWrite]) -> Written:
        """Write a batch as one durable, guarded, set-based write.

        Raises UnknownOutcome, BadData, StorageUnavailable.
        """

    async def load(self, wanted: Sequence[Wanted]) -> list[Aggregate]:
        """Load aggregates, in order; one without a job where the job does not exist.

        A job with its prompts and submissions is as of one moment.
        """

    async def load_by_prompts(self, prompt_ids: Sequence[str]) -> list[Aggregate]:
        """The jobs of existing prompts, each with these and its open prompts, as of one moment."""

    async def get_jobs(self, job_ids: Iterable[str]) -> list[Job]:
        """Existing jobs by id, in no order."""

    async def get_prompts(self, prompt_ids: Iterable[str]) -> list[Prompt]:
        """Existing prompts by id, in no order."""

    async def get_jobs_and_prompts(
        self, job_ids: Sequence[str], prompt_ids: Sequence[str]
    ) -> tuple[list[Job], list[Prompt]]:
        """Existing jobs and prompts by id, in no order, as of one moment."""

    async def list_held(self, session_id: str) -> list[Job]:
        """The jobs that a worker session holds, without their documents, in no order."""

    async def list_unconfirmed(self, job_ids: Sequence[str]) -> list[Prompt]:
        """The closed prompts of these jobs whose end no worker has acknowledged, in no order."""

    async def first_jobs(self, job_ids: Sequence[str], max_bytes: int) -> tuple[list[Job], int]:
        """Read as many of the first jobs as fit in about `max_bytes`; existing ones, in no order.

        Also returns how many of the ids that covers, at least one.
        """

    async def first_prompts(self, prompt_ids: Sequence[str], max_bytes: int) -> tuple[list[Prompt], int]:
        """Like `first_jobs`, but for prompts."""

    async def find_prompt(self, ref: PromptRef) -> Prompt | None:
        """Find a prompt by id, or by job and key."""

    async def count_jobs(self, filter: JobFilter) -> int:
        """Count the matching jobs."""

    async def list_jobs(self, filter: JobFilter, limit: int, after: str | None, max_bytes: int) -> JobsPage:
        """A page of jobs, newest first, below the id `after`. Contains at least one, even if that exceeds
        max_bytes."""

    async def list_prompts(
        self, filter: PromptFilter, limit: int, after: PromptPosition | None, max_bytes: int
    ) -> PromptsPage:
        """A page of prompts in the order of the filter, after a position. It contains at least one, even if
        that exceeds max_bytes; a page of a history (`PromptFilter.is_history`) may be short or empty."""

    async def count_prompts(self, filter: PromptFilter) -> int:
        """Count the matching prompts. The cost grows with their number."""

    async def list_submissions(self, prompt_id: str, limit: int, after: int) -> list[Submission]:
        """Submissions after the seq `after`, oldest first."""

    async def list_checkpoints(self, job_id: str, limit: int, after: str) -> list[Checkpoint]:
        """Checkpoints with keys after `after`, by key."""

    async def list_kept_answers(self, job_id: str) -> list[KeptAnswer]:
        """The answers of an ended job that a retry may carry over, by key: those given in it, and those that
        it carried itself without asking."""

    async def list_kept_checkpoints(self, job_id: str) -> list[KeptCheckpoint]:
        """The checkpoints of an ended job, without their values, by key."""

    async def get_understanding(self, job_id: str) -> DeepUnderstanding | None:
        """A job's deep-understanding state."""

    async def list_events(self, job_id: str, after_seq: int, limit: int) -> list[Event]:
        """A job's events after a seq, in order."""


class WorkQueue(Protocol):
    """Queries of timers, dispatch and sweep. Results are hints: a guarded write decides."""

    async def claimable(self, limits: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], list[str]]:
        """Ids of claimable jobs by queue (namespace and job type), at most `limits[queue]` each, by priority
        and age.

        A queue without any is left out. Claimable is judged by the database's clock.
        """

    async def list_queues(self, after: Mapping[str, str], limit: int) -> dict[str, dict[str, bool]]:
        """For each given namespace at most `limit` job types after the given one that have a job which is
        claimable now or later, in the database's order. The value tells whether the first job is claimable.

        A namespace without any is left out. The first job type of all comes after an empty text.
        """

    async def list_due(
        self, ahead: timedelta, limit: int
    ) -> tuple[datetime, list[tuple[datetime, str, str]]]:
        """The database's time, and (when, kind, job id) of all timers due within `ahead`, earliest first.

        Kind is 'due' for an escalation step, reminder or deadline, and 'cancel' for the end of a cancel
        grace.
        """

    async def orphans(self, limit: int) -> list[tuple[str, str]]:
        """(job id, session id) of jobs whose session row no longer exists."""

    async def list_expired(self, limit: int, since: datetime | None) -> list[Job]:
        """Heads of ended jobs whose retention is over, by the time of its end, those from `since` on.

        A list from the start passes everything that was deleted and that the database still has in its index.
        """

    async def drop_events(self, keep: datetime, limit: int) -> int:
        """Drop the oldest day of events that is no longer needed, or (SQLite) at most `limit` of its rows.

        An event is needed by a stored job, and by resume tokens issued after `keep`. Returns how many days
        (SQLite: rows) were dropped, 0 if none was left.
        """

    async def make_room(self) -> None:
        """Create event partitions for the coming days, where the database has partitions."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A position in the feed. Ordered."""

    xid: int = 0
    id: int = 0
    mark: str = field(default="", compare=False)
    """The mark of the event at this position. After a restore, a different event may have the same position
    but another mark."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Changes of a job that the log has after one seq and up to another."""

    job_id: str
    after: int
    seq: int
    prompt_ids: frozenset[str] = frozenset()
    namespace: str = ""
    late: frozenset[str] = frozenset()
    """Those prompts that received a late answer."""


@dataclass(frozen=True, slots=True)
class ChangedPromptIds:
    """Which prompts changed after a position, by the log."""

    ids: Mapping[str, frozenset[str]]
    """By namespace."""
    reached: Position
    is_all: bool
    """Whether nothing more has changed after `reached`."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The transaction that holds the feed back; `age` in seconds, None if it is hidden from this role."""

    pid: int
    """0 for a prepared transaction."""
    prepared: str
    database: str
    user: str
    application: str
    age: float | None


class FeedStore(Protocol):
    """The event log of all jobs, read in an order in which nothing can appear later before a position."""

    async def epoch(self) -> str:
        """The name of the database's history. Tokens of another history are not honoured."""

    async def end_history(self, name: str) -> None:
        """Rename the history, if it is still called `name`: commits were lost."""

    async def head(self) -> Position:
        """The newest position that is safe to resume from."""

    async def tail(self) -> Position:
        """The oldest position that can still be resumed from."""

    async def after(
        self, position: Position, limit: int, *, settled: bool = True
    ) -> tuple[list[Changed], Position]:
        """Read the changes after a position, by job, and the position that this reaches.

        With `settled` False, changes committed while an older transaction runs are included. Then the
        returned position may only be used to continue this read.
        """

    async def changed_prompts(self, position: Position, limit: int) -> ChangedPromptIds | None:
        """Read which prompts changed after a position, settled or not, from `limit` events.

        None if the position is not in the log's past any more: `tail` and `has_position` tell why.
        """

    async def of_jobs(self, marks: Mapping[str, int]) -> list[Changed]:
        """Read the changes of these jobs after a seq each, settled or not."""

    async def has_position(self, position: Position) -> bool:
        """Whether a position is still in the log's past. It is not after the database was restored from a
        backup, or lost its last commits in a failover."""

    async def settle_lag(self) -> float:
        """Age in seconds of the oldest committed event that is not settled; 0 if there is none."""

    async def holder(self) -> Holder | None:
        """The transaction that holds unsettled events back, if it can be known."""
