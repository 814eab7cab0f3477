"""Everything that may change a job, as data.

A command names one aggregate (a job with its prompts) by its `target`, and is applied to it by
`apply.py`. Who may send it is checked there, where it is applied, and not only at the door.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.forms import Judgement
from askback_server.domain.jobs import DeepUnderstanding, Failure, Job, Progress
from askback_server.domain.principals import SYSTEM, Principal
from askback_server.domain.prompts import AnswerResult, AnswerSource, Prompt
from askback_server.domain.replies import JobCreated, PromptAsked
from askback_server.domain.retries import Retry


@dataclass(frozen=True, slots=True)
class SessionRef:
    """A worker session as one replica holds it; an older epoch's writes are refused."""

    session_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class PromptRef:
    """A prompt by its id, or by its job and key."""

    prompt_id: str = ""
    job_id: str = ""
    key: str = ""


R = TypeVar("R", covariant=True)
"""The reply to a command. Covariant, so that `Command[object]` is any command."""

_ROW = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[R]):
    """Base of all commands. `R` is the type of the reply: `class ClaimPrompt(OnPrompt[Prompt])`."""

    principal: Principal

    URGENT = False
    """Whether the reserved part of the queue is open to it: answers, system work."""

    @property
    def size(self) -> int:
        """Roughly how many bytes it writes; bounds a batch."""
        return _ROW


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateJob(Command[JobCreated]):
    """A new job; with `prompt` one without a worker."""

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
        asked = self.prompt.size if self.prompt is not None else 0
        kept = _ROW * (len(self.retry.answers) + len(self.retry.checkpoints)) if self.retry else 0
        return _ROW + len(self.input_json) + asked + kept


@dataclass(frozen=True, slots=True, kw_only=True)
class OnJob(Command[R]):
    """A command on a job named by its id."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateJob(OnJob[Job]):
    """New values of some fields: labels, priority, promoted, retention."""

    values: Mapping[str, Any]
    expected_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob(OnJob[Job]):
    """An end, or the wish for one."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteJob(OnJob[None]):
    """The removal of a terminal job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateUnderstanding(OnJob[DeepUnderstanding]):
    """New values of some fields of the deep-understanding state."""

    values: Mapping[str, Any]
    expected_version: int = 0
    token: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseJob(OnJob[Job]):
    """A worker takes the job. `not_after` is the end of the turn at a queue with a limit. `again`: nobody
    knows whether an earlier try was written; if it was, the session holds the job, and has it."""

    session: SessionRef
    worker_id: str
    not_after: datetime | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderCommand(OnJob[R]):
    """A write by the job's holder. `session` is known on a stream; unary calls send the token only."""

    token: int
    session: SessionRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportProgress(HolderCommand[int]):
    """How far the job is."""

    progress: Progress
    milestone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPrompt(HolderCommand[PromptAsked]):
    """A question to people, idempotent by its key."""

    key: str
    content: PromptContent
    supersedes: tuple[str, ...] = ()
    same: bool = False
    """Other content under a closed prompt's key is the same question: its resolution stands."""
    wakes: bool = False
    """The function may go on when this prompt alone is resolved."""

    @property
    def size(self) -> int:
        """See Command."""
        return _ROW + self.content.size


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgePrompts(HolderCommand[int]):
    """The worker has these resolutions."""

    prompt_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveCheckpoint(HolderCommand[int]):
    """The result of a step."""

    key: str
    value_json: str

    @property
    def size(self) -> int:
        """See Command."""
        return _ROW + len(self.value_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteJob(HolderCommand[Job]):
    """A result."""

    result_json: str = ""

    @property
    def size(self) -> int:
        """See Command."""
        return _ROW + len(self.result_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailJob(HolderCommand[Job]):
    """A failure of the attempt."""

    failure: Failure
    retryable: bool = False
    retry_delay: timedelta | None = None
    keep_attempt: bool = False
    """Not the attempt is at fault but the worker's version: it is not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseJob(HolderCommand[Job]):
    """The holder gives the job up without a failure."""

    awaited: tuple[str, ...] = ()
    """Keys of the prompts that its function waits for."""
    at_work: bool = False
    """Its function did not only wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPrompt(Command[R]):
    """A command on one prompt."""

    ref: PromptRef

    URGENT = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPrompt(OnPrompt[AnswerResult]):
    """What a person decided, idempotent by `answer_id`."""

    answer_id: str
    revision: int
    decision: Decision
    values_json: str = ""
    edits: tuple[Edit, ...] = ()
    comment: str = ""
    source: AnswerSource = AnswerSource.HUMAN
    judgement: Judgement | None = None
    """Of its values, where judging them takes too long for a decision."""

    @property
    def size(self) -> int:
        """See Command."""
        edited = sum(len(e.text) for e in self.edits) if self.edits else 0
        return _ROW + len(self.values_json) + len(self.comment) + edited


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPrompt(OnPrompt[Prompt]):
    """A person takes the prompt on."""

    duration: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePrompt(OnPrompt[Prompt]):
    """A person gives the claim back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPrompt(OnPrompt[Prompt]):
    """The asker's side withdraws the prompt."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDue(OnJob[datetime | None]):
    """A timer found that something of the job is due: a step, a reminder, a deadline."""

    principal: Principal = SYSTEM
    URGENT = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseSession(OnJob[None]):
    """The reaper found that the job's session is gone. `unreceived` is the job's version if its worker never
    received the lease and nothing was written since; 0 if it did, or never says."""

    session_id: str
    unreceived: int = 0
    principal: Principal = SYSTEM
    URGENT = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLease(OnJob[None]):
    """The session lives and holds the job, but its worker says that it does not run it. `received`: whether
    it ever did."""

    token: int
    session: SessionRef
    received: bool
    principal: Principal = SYSTEM
    URGENT = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPresence(OnJob[None]):
    """People came or went: somebody may be there for an open prompt of the job, or nobody any more."""

    principal: Principal = SYSTEM


@dataclass(frozen=True, slots=True, kw_only=True)
class EndGrace(OnJob[datetime | None]):
    """A timer found that the grace of a cancel wish is over."""

    principal: Principal = SYSTEM
    URGENT = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeJob(OnJob[None]):
    """The sweep found that the job's retention is over."""

    principal: Principal = SYSTEM
    URGENT = True
