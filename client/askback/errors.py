"""Everything that can go wrong, as one tree.

    AskbackError
    ├── InvalidArgument          the request itself; `violations` says which field and why
    │   ├── AnswerInvalid          the answer's content was refused; the prompt stays open
    │   └── MessageTooLarge        a message over the size limit; it cannot be sent
    ├── NotFound
    │   └── SessionNotFound        the worker's session is gone
    ├── AlreadyExists            an id or key was used before with other content
    │   └── QuestionChanged        raised in a worker: an answered key has another question now
    ├── FailedPrecondition       the state of things; do not retry as is
    │   ├── LeaseLost              stop working on the job
    │   ├── PromptClosed           another answer, the deadline or a cancel came first: `resolution`
    │   └── PromptClaimed          another person has claimed the prompt
    ├── Aborted                  read again, then retry
    │   └── PromptStale            the prompt changed; `prompt` is what it is now
    ├── Unauthenticated, PermissionDenied
    ├── ResourceExhausted        a limit, or a full queue (`retry_after` says when to retry)
    ├── Unavailable              no server, it is shutting down, or the network in between failed
    │   ├── CannotConnect          no connection; the message says why and what to do
    │   └── DeadlineExceeded       no reply in time; whether it was done is not known
    ├── Unimplemented            the server does not know the method
    ├── Internal                 a bug of the service; `metadata["error_id"]` names its log entry
    ├── JobFailed, JobCancelled  raised by `Run.result()`
    └── PromptEnded              raised in a worker: the question got no answer
        ├── PromptExpired          nobody answered in time
        ├── PromptCancelled        withdrawn or superseded
        └── PromptDeclined         a person said no, or did not want to answer

`NonRetryable` and its subclasses stand apart: a job's function raises them to fail the job for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from askback._model.violations import Violation as Violation

if TYPE_CHECKING:
    from askback._model.prompts import PromptInfo, Resolution


class AskbackError(Exception):
    """Base of every error of the client.

    `code` is the canonical gRPC name (`NOT_FOUND`), `reason` the contract's
    (`ERROR_REASON_JOB_NOT_FOUND`; empty if the server gave none), `metadata` the values the message
    speaks of, `violations` the fields at fault, `retry_after` the seconds to wait where a retry makes sense.
    `from_server` says whether the service itself made it, and not the network in between or this client.
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
        told = (f"{violation.field}: {violation.description}" for violation in self.violations)
        listed = "".join(f"\n  {text}" for text in told if text != self.message)
        return f"{self.message}{listed}"


class InvalidArgument(AskbackError):
    """The request is wrong whatever the state of things is."""

    code = "INVALID_ARGUMENT"


class NotFound(AskbackError):
    """No such thing, or you may not see it."""

    code = "NOT_FOUND"


class SessionNotFound(NotFound):
    """No such worker session any more."""


class AlreadyExists(AskbackError):
    """The id or key was used before with other content."""

    code = "ALREADY_EXISTS"


class QuestionChanged(AlreadyExists):
    """The key has an answer, or another end, that was given to another question.

    `key` names it; `changes` says in words what changed, the old wording first. The run ends and is
    repeated without counting the attempt, so that the right version of the worker can take the job over;
    after 24 hours the job fails. `same=True` on the call keeps the answer.
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
    """The state of things does not allow it."""

    code = "FAILED_PRECONDITION"


class LeaseLost(FailedPrecondition):
    """The job is not this worker's any more."""


class Aborted(AskbackError):
    """Another call changed the same thing; nothing was done."""

    code = "ABORTED"


class Unauthenticated(AskbackError):
    """No credentials, or wrong ones."""

    code = "UNAUTHENTICATED"


class PermissionDenied(AskbackError):
    """The role, namespace or audience does not allow it."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(AskbackError):
    """A limit of the service, or too much waits to be written."""

    code = "RESOURCE_EXHAUSTED"


class MessageTooLarge(InvalidArgument):
    """A request or a response is larger than a message may be, here, at the server or in between."""


class Unavailable(AskbackError):
    """The server cannot be reached, or does not take calls now.

    Also for whatever a proxy or load balancer answered in the server's place; then `metadata["grpc_code"]`
    has the code that gRPC made of it.
    """

    code = "UNAVAILABLE"


class CannotConnect(Unavailable):
    """There is no connection to the server; the message says why and what to do.

    `passing` says whether waiting may help: nothing listens yet, a name is not known yet. It is false
    for what needs a change of settings, such as a certificate of an unknown authority.
    """

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


class DeadlineExceeded(Unavailable):
    """No reply in time. Whether the call was carried out is not known."""

    code = "DEADLINE_EXCEEDED"


class Unimplemented(AskbackError):
    """The server does not know the method: it is older than this client, or not an Askback."""

    code = "UNIMPLEMENTED"


class Internal(AskbackError):
    """A bug of the service."""

    code = "INTERNAL"


class _AnswerRefused(AskbackError):
    """An answer that did not resolve its prompt; `prompt` is the prompt as it is now."""

    prompt: PromptInfo | None = None

    @property
    def resolution(self) -> Resolution | None:
        """How the prompt ended, if it did: the winner."""
        return self.prompt.resolution if self.prompt else None


class AnswerInvalid(InvalidArgument, _AnswerRefused):
    """The answer's content was refused, field by field. The prompt stays open."""


class PromptStale(Aborted, _AnswerRefused):
    """The prompt's content changed since it was shown. Show `prompt` and ask again."""


class PromptClosed(FailedPrecondition, _AnswerRefused):
    """The prompt had ended already; `resolution` is what won."""


class PromptClaimed(FailedPrecondition):
    """Another person has claimed the prompt: `claimed_by`."""

    @property
    def claimed_by(self) -> str:
        """Who has it."""
        return self.metadata.get("claimed_by", "")


class JobFailed(AskbackError):
    """The job ended in FAILED. `failure_code` and `details` are what its worker reported."""

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
    """A question of a job ended without the answer that was asked for; `prompt` says how."""

    code = "PROMPT_ENDED"

    def __init__(self, message: str, prompt: PromptInfo) -> None:
        super().__init__(message, metadata={"prompt_id": prompt.prompt_id, "key": prompt.key})
        self.prompt = prompt


class PromptExpired(PromptEnded):
    """Nobody answered in time."""


class PromptCancelled(PromptEnded):
    """The prompt was withdrawn or superseded."""


class PromptDeclined(PromptEnded):
    """A person said no, asked for changes, or did not want to answer; see `decision`, `comment` and `by`."""

    @property
    def decision(self) -> str:
        """What was decided: REJECT, DISMISS or REVISE."""
        answer = self.prompt.answered
        return answer.decision if answer else ""

    @property
    def comment(self) -> str:
        """The reason in the person's words."""
        answer = self.prompt.answered
        return answer.comment if answer else ""

    @property
    def by(self) -> str:
        """Who decided; empty for a default."""
        answer = self.prompt.answered
        return answer.by if answer else ""

    @property
    def by_default(self) -> bool:
        """Whether nobody answered in time and the default said no."""
        answer = self.prompt.answered
        return answer is not None and answer.by_default
