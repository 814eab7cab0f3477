"""The errors of the client, as one tree.

    AskbackError
    ├── InvalidArgument          the request is wrong; `violations` has the fields and reasons
    │   ├── AnswerInvalid          the answer's content was refused; the prompt stays open
    │   └── MessageTooLarge        a message over the size limit; it cannot be sent
    ├── NotFound
    │   └── SessionNotFound        the worker's session has expired
    ├── AlreadyExists            an id or key was used before with other content
    │   └── QuestionChanged        raised in a worker: an answered key has another question now
    ├── FailedPrecondition       the present state does not allow it; do not retry as is
    │   ├── LeaseLost              stop working on the job
    │   ├── PromptClosed           another answer, the deadline or a cancellation won: `resolution`
    │   ├── PromptClaimed          another person has claimed the prompt
    │   └── DelegationRefused      the prompt cannot be delegated so: `because`
    ├── Aborted                  read again, then retry
    │   └── PromptStale            the prompt changed; `prompt` is the present one
    ├── Unauthenticated, PermissionDenied
    ├── ResourceExhausted        a limit, or a full queue (`retry_after` says when to retry)
    ├── Unavailable              no server, it is shutting down, or the network failed
    │   ├── CannotConnect          no connection; the message has the cause and the remedy
    │   └── DeadlineExceeded       no reply in time; the call may have been carried out
    ├── Unimplemented            the server does not know the method
    ├── Internal                 a bug of the service; `metadata["error_id"]` refers to its log entry
    ├── JobFailed, JobCancelled  raised by `Run.result()`
    └── PromptEnded              raised in a worker: the question got no answer
        ├── PromptExpired          no answer in time
        ├── PromptCancelled        withdrawn or superseded
        └── PromptDeclined         a person declined, or did not want to answer

`NonRetryable` and its subclasses stand apart: a job's function raises them to fail the job for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from askback._model.violations import Violation as Violation

if TYPE_CHECKING:
    from askback._model.prompts import PromptInfo
    from askback._model.resolutions import Resolution


class AskbackError(Exception):
    """Base of every error of the client.

    `code` is the canonical gRPC name (`NOT_FOUND`), `reason` the contract's (`ERROR_REASON_JOB_NOT_FOUND`;
    empty if the server gave none), `metadata` the values that the message mentions, `violations` the invalid
    fields, `retry_after` the seconds to wait before a retry that makes sense. `from_server` is true if the
    service itself reported the error, and not the network or this client.
    """

    code: str = "UNKNOWN"
    from_server: bool = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[Violation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after

    def __str__(self) -> str:
        texts = (f"{violation.field}: {violation.description}" for violation in self.violations)
        listed = "".join(f"\n  {text}" for text in texts if text != self.message)
        return f"{self.message}{listed}"


class InvalidArgument(AskbackError):
    """The request is wrong, whatever the state of the service."""

    code = "INVALID_ARGUMENT"


class NotFound(AskbackError):
    """It does not exist, or you may not see it."""

    code = "NOT_FOUND"


class SessionNotFound(NotFound):
    """The worker's session has expired."""


class AlreadyExists(AskbackError):
    """The id or key was used before with other content."""

    code = "ALREADY_EXISTS"


class QuestionChanged(AlreadyExists):
    """The key has an answer, or another end, that was given to another question.

    `changes` describes each change in words, the old wording first. The run ends and is repeated without
    counting the attempt, so that the right version of the worker can take the job over; after 24 hours the
    job fails. `same=True` on the call keeps the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        key: str = "",
        changes: Iterable[str] = (),
        code: str | None = None,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, reason=reason, metadata=metadata)
        self.key = key
        self.changes = tuple(changes)


class FailedPrecondition(AskbackError):
    """The present state does not allow it."""

    code = "FAILED_PRECONDITION"


class LeaseLost(FailedPrecondition):
    """This worker no longer holds the job's lease."""


class Aborted(AskbackError):
    """A concurrent call changed the same record; nothing was changed by this one."""

    code = "ABORTED"


class Unauthenticated(AskbackError):
    """No credentials, or wrong ones."""

    code = "UNAUTHENTICATED"


class PermissionDenied(AskbackError):
    """The role, namespace or audience does not allow it."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(AskbackError):
    """A limit of the service was reached, or its write queue is full."""

    code = "RESOURCE_EXHAUSTED"


class MessageTooLarge(InvalidArgument):
    """A request or a response is over the size limit of this client, the server or a proxy."""


class Unavailable(AskbackError):
    """The server cannot be reached, or accepts no calls now.

    Also raised if a proxy or load balancer answered in the server's place; then `metadata["grpc_code"]` has
    the code that gRPC derived.
    """

    code = "UNAVAILABLE"


class CannotConnect(Unavailable):
    """There is no connection to the server; the message has the cause and the remedy.

    `passing` is true if waiting may help: nothing listens yet, or a name cannot be resolved yet. It is false
    if the settings must change, for example for a certificate of an unknown authority.
    """

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


class DeadlineExceeded(Unavailable):
    """No reply in time. The call may have been carried out."""

    code = "DEADLINE_EXCEEDED"


class Unimplemented(AskbackError):
    """The server does not know the method: it is older than this client, or no Askback server."""

    code = "UNIMPLEMENTED"


class Internal(AskbackError):
    """A bug of the service."""

    code = "INTERNAL"


class _AnswerRefused(AskbackError):
    """The answer did not resolve its prompt; `prompt` is the present state of the prompt."""

    prompt: PromptInfo | None = None

    @property
    def resolution(self) -> Resolution | None:
        """The resolution that won, if the prompt has ended."""
        return self.prompt.resolution if self.prompt else None


class AnswerInvalid(InvalidArgument, _AnswerRefused):
    """The answer's content was refused, field by field. The prompt stays open."""


class PromptStale(Aborted, _AnswerRefused):
    """The prompt's content has changed since it was shown. Show `prompt` and ask again."""


class PromptClosed(FailedPrecondition, _AnswerRefused):
    """The prompt had ended already; `resolution` is the one that won."""


class PromptClaimed(FailedPrecondition):
    """Another person has claimed the prompt: `claimed_by`."""

    @property
    def claimed_by(self) -> str:
        """The name of that person."""
        return self.metadata.get("claimed_by", "")


class DelegationRefused(FailedPrecondition):
    """The prompt cannot be delegated to this person or group, or not by you."""

    @property
    def because(self) -> str:
        """Why: CHAIN, EXCLUDED, VOTED, DELEGATE, ABSENT, POLICY, UNKNOWN, MEMBER, SHORTAGE or LIMIT."""
        return self.metadata.get("because", "")


class JobFailed(AskbackError):
    """The job ended in FAILED. Its worker reported `failure_code` and `details`."""

    code = "JOB_FAILED"

    def __init__(self, message: str, *, job_id: str, failure_code: str = "", details: Any = None) -> None:
        super().__init__(message, metadata={"job_id": job_id})
        self.job_id = job_id
        self.failure_code = failure_code
        self.details = details


class JobCancelled(AskbackError):
    """The job ended in CANCELLED, or was deleted."""

    code = "JOB_CANCELLED"

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message, metadata={"job_id": job_id})
        self.job_id = job_id


class PromptEnded(AskbackError):
    """A question of a job ended without the requested answer; see `prompt.resolution`."""

    code = "PROMPT_ENDED"

    def __init__(self, message: str, prompt: PromptInfo) -> None:
        super().__init__(message, metadata={"prompt_id": prompt.prompt_id, "key": prompt.key})
        self.prompt = prompt


class PromptExpired(PromptEnded):
    """There was no answer in time."""


class PromptCancelled(PromptEnded):
    """The prompt was withdrawn or superseded."""


class PromptDeclined(PromptEnded):
    """A person declined, asked for changes, or did not want to answer; see `decision`, `comment` and `by`."""

    @property
    def decision(self) -> str:
        """The decision: REJECT, DISMISS or REVISE."""
        answer = self.prompt.answered
        return answer.decision if answer else ""

    @property
    def comment(self) -> str:
        """The person's comment."""
        answer = self.prompt.answered
        return answer.comment if answer else ""

    @property
    def by(self) -> str:
        """The person who decided; empty for a default."""
        answer = self.prompt.answered
        return answer.by if answer else ""

    @property
    def by_default(self) -> bool:
        """Whether there was no answer in time, and the default declined."""
        answer = self.prompt.answered
        return answer is not None and answer.by_default
