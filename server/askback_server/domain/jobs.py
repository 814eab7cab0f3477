"""The job, and the values that belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class JobState(StrEnum):
    """The states of a job; `transitions.py` has the steps between them."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PENDING_HITL = "PENDING_HITL"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


TERMINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})


class Wake(StrEnum):
    """Which resolution makes a job in PENDING_HITL run again if no worker holds it."""

    ALL = ""
    """The last one: when no blocking prompt is open."""
    ANY = "ANY"
    """The first one."""
    DUE = "DUE"
    """As ANY. A first one has arrived while a worker held the job, so it may be at work on that; if the
    worker releases the job or loses it, the job must run again at once."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `details_json` is JSON text, or empty."""

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
    """One durable piece of work.

    Rules change it by `Change.set` (see `JobFields`); fields marked "fixed" never change after creation.
    """

    job_id: str
    """Made by the server (UUIDv7); fixed."""
    namespace: str
    """The tenant that owns the job: its creator's; fixed."""
    job_type: str
    """The kind of work, which decides which workers can take it. Set by the creator; fixed."""
    user_id: str
    """On whose behalf the job runs: its creator, or the user that an admin named; fixed."""
    state: JobState
    """Changed by transitions only (`life.move`)."""
    created_at: datetime
    """When it was created; fixed."""
    updated_at: datetime
    """When the newest event was written."""
    input_json: str = ""
    """The creator's JSON text, stored unchanged; empty if there is none. Fixed."""
    result_json: str = ""
    """Set at completion: the worker's JSON text, or its prompt's resolution if the job has no worker."""
    failure: Failure | None = None
    """Of the newest attempt that failed or lost its lease; not cleared when a later one succeeds."""
    progress: Progress | None = None
    """The holder's newest report; the next attempt starts with it."""
    priority: int = 0
    """Workers take higher ones first. Set by the creator, changed by UpdateJob."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Names and values to filter by. Set by the creator, replaced as a whole by UpdateJob."""
    promoted: bool = False
    """A mark for programs that use the result. Set by UpdateJob; no rule reads it."""
    attempt: int = 1
    """The number of the current attempt. Rises when one fails, overruns its time, or loses its lease while
    RUNNING."""
    max_attempts: int = 3
    """The attempt after which the job fails. Set by the creator, or the limits' default; fixed."""
    rounds: int = 0
    """How many prompts were asked, in any state. Rises with each."""
    open_prompts: int = 0
    """How many prompts are open. Follows asking and closing."""
    open_blocking: int = 0
    """The open prompts that it waits for: all that block, or none while it runs on after the first answer."""
    wake: Wake = Wake.ALL
    """Set to ANY by a prompt with `wakes`, or by a release with `awaited` keys; to DUE while the holder may
    be at work on an answer; and back to ANY when the job runs again."""
    version: int = 0
    """The seq of the newest event. Rises with every event; writes are guarded by it."""
    token: int = 0
    """The newest fencing token; 0 before the first lease. Rises with every lease."""
    ready_at: datetime | None = None
    """From when on it can be leased; None unless PENDING. Set with PENDING, cleared by the lease."""
    session_id: str | None = None
    """The worker session that holds the job; None if none does. Set by a lease, cleared with the holder."""
    worker_id: str = ""
    """The holder's own name. Set and cleared with `session_id`."""
    holder: str = ""
    """The principal whose session holds the job. Set and cleared with `session_id`."""
    completed_at: datetime | None = None
    """When it reached a terminal state."""
    cancel_requested_at: datetime | None = None
    """When CancelJob asked the holder to stop; never cleared. None if no worker held the job."""
    cancel_at: datetime | None = None
    """The end of the grace after a cancel request. Cleared when the job ends."""
    cancel_reason: str = ""
    """Set by CancelJob."""
    cancelled_by: str = ""
    """The principal that called CancelJob."""
    retention: timedelta | None = None
    """How long an ended job is kept; None: as the limits say. Set by the creator, changed by UpdateJob."""
    purge_at: datetime | None = None
    """When the ended job is deleted. Set at its end; UpdateJob of `retention` moves it."""
    request_id: str = ""
    """The creator's idempotency key; empty if none was given. Fixed."""
    request_digest: str = ""
    """Of the creating request: another request with the same `request_id` is refused. Fixed."""
    retried_from: str = ""
    """The job that RetryJob repeats with this one; else empty. Fixed."""
    root: str = ""
    """The first job of the chain of retries; empty if it is this one. Fixed."""
    carried_answers: int = 0
    """How many answers of earlier jobs of its chain it was created with. Fixed."""
    workerless: bool = False
    """Created with its prompt: the prompt's resolution ends it. Fixed."""
    checkpoints: int = 0
    """How many checkpoints were written, those included that it was created with; limits them."""
    understanding_version: int = 0
    """The version of its `DeepUnderstanding`. Rises with every write of that."""
    timeout: timedelta | None = None
    """How long the whole job may take, waiting for people and pauses included. Set by the creator; fixed."""
    expires_at: datetime | None = None
    """The end of `timeout`, counted from the start that the creator chose. Fixed."""
    run_timeout: timedelta | None = None
    """How long one attempt may be RUNNING; waiting for people does not count. Set by the creator; fixed."""
    run_until: datetime | None = None
    """When the attempt overruns `run_timeout`. Set while RUNNING only."""
    stalled_at: datetime | None = None
    """When the first of the uncounted failures happened (`life.stall`). Cleared by a new prompt."""
    unreceived: int = 0
    """How many leases were lost before a worker received them. The first few are not counted as attempts."""
    run_left: timedelta | None = None
    """The rest of the attempt's `run_timeout` while it is not RUNNING; None: all of it. Cleared by the next
    attempt."""

    @property
    def size(self) -> int:
        """About how many bytes its texts take."""
        return len(self.input_json) + len(self.result_json)

    @property
    def due_at(self) -> datetime | None:
        """The deadline of the job or of its attempt, whichever is first; None if there is none."""
        if (self.expires_at is None and self.run_until is None) or self.is_terminal:
            return None
        if self.expires_at is None or self.run_until is None:
            return self.expires_at or self.run_until
        return min(self.expires_at, self.run_until)

    @property
    def root_job_id(self) -> str:
        """The first job of the chain of retries; the job itself if it repeats none."""
        return self.root or self.job_id

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The result of a step, saved by the holder for later attempts."""

    job_id: str
    key: str
    value_json: str
    created_at: datetime

    @property
    def size(self) -> int:
        """Roughly how many bytes its message takes."""
        return len(self.value_json) + len(self.key) + 100


@dataclass(frozen=True, slots=True)
class DeepUnderstanding:
    """What a job has learnt about its user's needs. The `_json` fields are JSON arrays."""

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
        """About how many bytes its texts take."""
        lists = len(self.questions_asked_json) + len(self.answers_json) + len(self.research_performed_json)
        return lists + len(self.understanding_summary) + len(self.user_problem)
