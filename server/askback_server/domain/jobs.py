"""What a job is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypedDict


class JobState(StrEnum):
    """Where a job is in its life; the steps between are in `transitions.py`."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PENDING_HITL = "PENDING_HITL"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


TERMINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})


class Wake(StrEnum):
    """Which resolution makes a waiting job run that nobody holds."""

    ALL = ""
    """The last one: when no blocking prompt is open."""
    ANY = "ANY"
    """The first one."""
    DUE = "DUE"
    """As ANY, and its holder may be at work on an answer while other prompts are open."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed; `details_json` is JSON text or empty."""

    code: str
    message: str
    details_json: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is; `percent` is 0 to 100."""

    done: int = 0
    total: int = 0
    percent: float = 0.0
    message: str = ""


@dataclass(frozen=True)  # no slots: see evolve.py
class Job:
    """One durable piece of work. JSON texts are kept exactly; an absent one is empty."""

    job_id: str
    namespace: str
    job_type: str
    user_id: str
    state: JobState
    created_at: datetime
    updated_at: datetime
    input_json: str = ""
    result_json: str = ""
    failure: Failure | None = None
    progress: Progress | None = None
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    promoted: bool = False
    attempt: int = 1
    max_attempts: int = 3
    rounds: int = 0
    open_prompts: int = 0
    open_blocking: int = 0
    """The open prompts that it waits for: all that block, or none where it runs after the first answer."""
    wake: Wake = Wake.ALL
    version: int = 0
    token: int = 0
    ready_at: datetime | None = None
    """Claimable from then on; None unless PENDING."""
    session_id: str | None = None
    worker_id: str = ""
    holder: str = ""
    """The principal whose session holds the job."""
    completed_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    cancel_at: datetime | None = None
    """The end of a cancel wish's grace."""
    cancel_reason: str = ""
    cancelled_by: str = ""
    """Who asked for the cancel."""
    retention: timedelta | None = None
    purge_at: datetime | None = None
    request_id: str = ""
    request_digest: str = ""
    retried_from: str = ""
    root: str = ""
    """The first job of the chain of retries; empty: the job itself."""
    carried_answers: int = 0
    """How many answers of earlier jobs of its chain it was created with."""
    workerless: bool = False
    checkpoints: int = 0
    """How many checkpoint writes were made; bounds them."""
    understanding_version: int = 0
    timeout: timedelta | None = None
    """How long the whole job may take, people and attempts included; `expires_at` is the end of that."""
    expires_at: datetime | None = None
    run_timeout: timedelta | None = None
    """How long one attempt may be RUNNING. Waiting for people does not count."""
    run_until: datetime | None = None
    """The end of the attempt's time while it is RUNNING."""
    stalled_at: datetime | None = None
    """When the first of the failures happened that were not counted; None after a new question."""
    unreceived: int = 0
    """How many of its leases no worker received; they are no attempts."""
    run_left: timedelta | None = None
    """What is left of the attempt's time while its clock stands still; None: all of it."""

    @property
    def size(self) -> int:
        """Roughly how many bytes its texts are."""
        return len(self.input_json) + len(self.result_json)

    @property
    def due_at(self) -> datetime | None:
        """When time ends the job, or its attempt. None: never."""
        if (self.expires_at is None and self.run_until is None) or self.is_terminal:
            return None
        if self.expires_at is None or self.run_until is None:
            return self.expires_at or self.run_until
        return min(self.expires_at, self.run_until)

    @property
    def root_job_id(self) -> str:
        """The first job of the chain of retries."""
        return self.root or self.job_id

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.state in TERMINAL


class JobFields(TypedDict, total=False):
    """The fields of a job that a rule may set: the arguments of `Change.set`.

    The others are fixed when the job is created, or written with each event (`version`, `updated_at`).
    """

    state: JobState
    result_json: str
    failure: Failure | None
    progress: Progress | None
    priority: int
    labels: Mapping[str, str]
    promoted: bool
    attempt: int
    rounds: int
    open_prompts: int
    open_blocking: int
    wake: Wake
    token: int
    ready_at: datetime | None
    session_id: str | None
    worker_id: str
    holder: str
    completed_at: datetime | None
    cancel_requested_at: datetime | None
    cancel_at: datetime | None
    cancel_reason: str
    cancelled_by: str
    retention: timedelta | None
    purge_at: datetime | None
    checkpoints: int
    understanding_version: int
    run_until: datetime | None
    run_left: timedelta | None
    stalled_at: datetime | None
    unreceived: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The saved result of a step."""

    job_id: str
    key: str
    value_json: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DeepUnderstanding:
    """What a job has learnt of what its user needs; the `_json` fields are JSON arrays."""

    job_id: str
    questions_asked_json: str = "[]"
    answers_json: str = "[]"
    research_performed_json: str = "[]"
    understanding_summary: str = ""
    user_problem: str = ""
    readiness_score: float = 0.0
    complete: bool = False
    version: int = 0
    updated_at: datetime | None = None

    @property
    def size(self) -> int:
        """Roughly how many bytes its texts are."""
        lists = len(self.questions_asked_json) + len(self.answers_json) + len(self.research_performed_json)
        return lists + len(self.understanding_summary) + len(self.user_problem)
