"""Commands: requests to change one job, as data. `apply.py` finds the rule, which checks role and access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Generic, TypeVar

from askback_server.domain.answers import AnswerSource
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.evolve import fast_init
from askback_server.domain.forms import Judgement
from askback_server.domain.job_values import JobValues, UnderstandingValues
from askback_server.domain.jobs import DeepUnderstanding, Failure, Job, Progress
from askback_server.domain.principals import SYSTEM, Principal
from askback_server.domain.prompts import AnswerResult, Prompt
from askback_server.domain.replies import JobCreated, JobVersion, PromptAsked
from askback_server.domain.retries import Retry

R = TypeVar("R", covariant=True)
_ROW_BYTES = 500  # estimated bytes of a command's write, without its texts


@dataclass(frozen=True, slots=True)
class SessionRef:
    """A worker session and the epoch of one of its streams. Writes of an older epoch are refused."""

    session_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class PromptRef:
    """A prompt by its id, or by its job and key."""

    prompt_id: str = ""
    job_id: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[R]):
    """Base of all commands. `R` is the type of the reply; `Command[object]` is any command."""

    principal: Principal
    URGENT = False
    """Whether it may use the reserved part of the command queue: answers, and the service's own commands."""

    @property
    def size(self) -> int:
        """About how many bytes it writes; bounds a batch."""
        return _ROW_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateJob(Command[JobCreated]):
    """Create a job; with `prompt` one without a worker. `retry` repeats an ended job (`retry_rules.py`)."""

    namespace: str
    job_type: str
    request_id: str = ""
    user_id: str = ""
    input_json: str = ""
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    max_attempts: int = 0
    retention: timedelta | None = None
    prompt: PromptContent | None = None
    retry: Retry | None = None
    start_delay: timedelta | None = None
    start_at: datetime | None = None
    timeout: timedelta | None = None
    run_timeout: timedelta | None = None

    @property
    def size(self) -> int:
        """See Command."""
        kept = _ROW_BYTES * (len(self.retry.answers) + len(self.retry.checkpoints)) if self.retry else 0
        return _ROW_BYTES + len(self.input_json) + kept + (self.prompt.size if self.prompt else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnJob(Command[R]):
    """A command on a job named by its id."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateJob(OnJob[Job]):
    """Set fields of a job."""

    values: JobValues
    expected_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob(OnJob[Job]):
    """Cancel a job, or ask its holder to stop."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteJob(OnJob[None]):
    """Delete a job in a terminal state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateUnderstanding(OnJob[DeepUnderstanding]):
    """Set fields of the deep-understanding state."""

    values: UnderstandingValues
    expected_version: int = 0
    token: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseJob(OnJob[Job]):
    """Give a job to a worker."""

    session: SessionRef
    worker_id: str
    not_after: datetime | None = None
    """The end of the queue lock under which the job was chosen; None if its queue has no limit."""
    again: bool = False
    """Retries after an unknown outcome: if the first attempt was committed, reply with the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderCommand(OnJob[R]):
    """A write by the job's holder. A stream knows its `session`; unary calls send the token only."""

    token: int
    session: SessionRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportProgress(HolderCommand[JobVersion]):
    """Report progress."""

    progress: Progress
    milestone: bool = False


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class AskPrompt(HolderCommand[PromptAsked]):
    """Ask people a question, idempotent by `key`."""

    key: str
    content: PromptContent
    supersedes: tuple[str, ...] = ()
    """Keys of prompts of the job that the new one replaces."""
    same: bool = False
    """Content other than the closed prompt's is the same question in other words: keep its resolution."""
    wakes: bool = False
    """The job may run again when this prompt is resolved, though others are open."""

    @property
    def size(self) -> int:
        """See Command."""
        return _ROW_BYTES + self.content.size


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgePrompts(HolderCommand[JobVersion]):
    """Confirm that the worker has these resolutions."""

    prompt_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveCheckpoint(HolderCommand[JobVersion]):
    """Save the result of a step."""

    key: str
    value_json: str

    @property
    def size(self) -> int:
        """See Command."""
        return _ROW_BYTES + len(self.value_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteJob(HolderCommand[Job]):
    """End the job with a result."""

    result_json: str = ""

    @property
    def size(self) -> int:
        """See Command."""
        return _ROW_BYTES + len(self.result_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailJob(HolderCommand[Job]):
    """End the attempt with a failure."""

    failure: Failure
    retryable: bool = False
    retry_delay: timedelta | None = None
    keep_attempt: bool = False
    """The worker's version is at fault: repeat the same attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseJob(HolderCommand[Job]):
    """Give the job back without a failure."""

    awaited: tuple[str, ...] = ()
    """Keys of the prompts that the job's function waits for."""
    at_work: bool = False
    """The function was working and not only waiting for prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPrompt(Command[R]):
    """A command on one prompt."""

    ref: PromptRef
    URGENT = True


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPrompt(OnPrompt[AnswerResult]):
    """Answer a prompt, idempotent by `answer_id`. `shown_digest` is of what the person saw, if it is sent."""

    answer_id: str
    revision: int
    decision: Decision
    values_json: str = ""
    edits: tuple[Edit, ...] = ()
    comment: str = ""
    source: AnswerSource = AnswerSource.HUMAN
    shown_digest: str = ""
    batch_id: str = ""
    rule: str = ""
    OVERRIDES: ClassVar[bool] = False  # see `vote_commands.OverridePrompt`
    judgement: Judgement | None = None  # of `judge_values`, if that takes too long for the event loop

    @property
    def size(self) -> int:
        """See Command."""
        return _ROW_BYTES + len(self.values_json) + len(self.comment) + sum(len(e.text) for e in self.edits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPrompt(OnPrompt[Prompt]):
    """Claim a prompt for a person, or extend the claim."""

    duration: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePrompt(OnPrompt[Prompt]):
    """Release a claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPrompt(OnPrompt[Prompt]):
    """Withdraw a prompt: by a client or a worker."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemCommand(OnJob[R]):
    """A command that the service itself sends."""

    principal: Principal = SYSTEM
    URGENT = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDue(SystemCommand[datetime | None]):
    """Sent by a timer: an escalation step, a reminder or a deadline of the job is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseSession(SystemCommand[None]):
    """Sent by the keeper: the session that holds the job has expired."""

    session_id: str
    unreceived: int = 0
    """The job's version if the worker has not confirmed the lease and nothing was written since; else 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLease(SystemCommand[None]):
    """Sent for a live session whose worker reports that it does not run the job."""

    token: int
    session: SessionRef
    received: bool
    """Whether the worker had confirmed the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPresence(SystemCommand[None]):
    """Sent when consoles connected or disconnected: review which open prompts of the job are attended."""

    URGENT = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndGrace(SystemCommand[datetime | None]):
    """Sent by a timer: the grace of a cancel request is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeJob(SystemCommand[None]):
    """Sent by the sweep: the job's retention is over. The rule needs only its head, as it was listed."""

    head: Job | None = None
