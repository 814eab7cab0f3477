"""The errors that callers see, as one tree.

    AskbackError
    ├── InvalidArgument        the request itself: nothing was changed
    │   ├── InvalidField         one or more fields, each with its reason
    │   ├── BadPageToken
    │   └── BadHello
    ├── NotFound
    │   ├── JobNotFound, PromptNotFound, SessionNotFound, ServiceNotFound (AnswerNotFound, in `voting_rules`)
    ├── AlreadyExists
    │   └── IdReused             an id or key with other content than before
    ├── FailedPrecondition     the current state does not allow it: do not retry unchanged
    │   ├── IllegalState, LeaseLost, PromptClaimed, PromptClosed
    ├── Aborted                another call changed it first: read again, then retry
    │   ├── VersionMismatch, Contention (DeletionUnfinished, in `deletion_rules`)
    ├── Unauthenticated (SessionEnded, in `sign_outs`), PermissionDenied (Excluded, in `exclusions`)
    ├── ResourceExhausted
    │   ├── LimitExceeded (TooManyInFlight), QueueFull
    ├── Unavailable
    │   ├── Draining, StorageUnavailable
    ├── AuditFailed, in `receipts`
    └── UnknownMethod          the caller is newer than this server

Each class has a `reason`, which is `ERROR_REASON_<reason>` on the wire, and the values of its message in
`metadata`. Only `transport/errors.py` maps the classes to gRPC codes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from askback_server.domain.json_text import Violation


class AskbackError(Exception):
    """Base of all errors that are sent to callers.

    `message` says what to do and `metadata` has its values. `retry_after` is in seconds; None if a retry
    does not help.
    """

    reason: ClassVar[str] = "INTERNAL"
    retry_after: float | None = None

    def __init__(self, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = {k: str(v) for k, v in metadata.items()}


class InvalidArgument(AskbackError):
    """The request itself is invalid, independent of any state."""


class InvalidField(InvalidArgument):
    """Fields are missing or invalid; `violations` says which and why."""

    reason = "INVALID_FIELD"

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = tuple(violations)
        first = self.violations[0]
        more = f" (and {len(self.violations) - 1} more)" if len(self.violations) > 1 else ""
        super().__init__(f"{first.field}: {first.description}{more}")

    @classmethod
    def of(cls, field: str, description: str) -> InvalidField:
        """The error of one field."""
        return cls((Violation(field, description),))


class BadPageToken(InvalidArgument):
    """The page token was not made by this service, or belongs to another query."""

    reason = "BAD_PAGE_TOKEN"


class BadHello(InvalidArgument):
    """The hello of a stream is missing, late or repeated."""

    reason = "BAD_HELLO"


class NoHello(BadHello):
    """The hello of a stream did not arrive in time. A client on a slow network may retry."""

    retry_after = 1.0

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no hello came within {seconds:g} s; send it as the first frame, at once")


class NotFound(AskbackError):
    """The object does not exist, or the caller may not see it."""


class JobNotFound(NotFound):
    """There is no such job in a namespace that the caller may use."""

    reason = "JOB_NOT_FOUND"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}; check the id and the namespace", job_id=job_id)


class PromptNotFound(NotFound):
    """There is no such prompt, or the caller may not see it."""

    reason = "PROMPT_NOT_FOUND"

    def __init__(self, **ref: object) -> None:
        named = ", ".join(f"{k} {v!r}" for k, v in ref.items() if v)
        super().__init__(f"there is no prompt with {named or 'this name'} for you", **ref)


class SessionNotFound(NotFound):
    """The worker session expired, never existed, or has another secret."""

    reason = "SESSION_NOT_FOUND"

    def __init__(self, session_id: str) -> None:
        super().__init__("the worker session is gone; open a new one", session_id=session_id)


class ServiceNotFound(NotFound):
    """A health check names an unknown service."""

    reason = "SERVICE_NOT_FOUND"

    def __init__(self, service: str) -> None:
        super().__init__(f"there is no service {service!r} here", service=service)


class AlreadyExists(AskbackError):
    """The name is in use."""


class IdReused(AlreadyExists):
    """An idempotency id or key was sent again with other content."""

    reason = "ID_REUSED"

    def __init__(self, field: str, value: str, message: str = "", **existing: object) -> None:
        super().__init__(
            message or f"{field} {value!r} was used before with other content; use a new one",
            field=field,
            value=value,
            **existing,
        )


class FailedPrecondition(AskbackError):
    """The current state does not allow the request."""


class IllegalState(FailedPrecondition):
    """The transition table does not allow it in this state."""

    reason = "ILLEGAL_STATE"

    def __init__(self, message: str, *, state: str, event: str, **ids: object) -> None:
        super().__init__(message, state=state, event=event, **ids)


class LeaseLost(FailedPrecondition):
    """The fencing token is not the newest, or the worker session does not hold the job."""

    reason = "LEASE_LOST"

    def __init__(self, job_id: str, token: int) -> None:
        super().__init__(
            f"the lease with token {token} on job {job_id} is lost; stop working on it",
            job_id=job_id,
            token=token,
        )


class PromptClaimed(FailedPrecondition):
    """Another person has claimed the prompt."""

    reason = "PROMPT_CLAIMED"

    def __init__(self, prompt_id: str, claimed_by: str) -> None:
        super().__init__(
            f"the prompt is claimed by {claimed_by}; wait for the claim to end or ask for its release",
            prompt_id=prompt_id,
            claimed_by=claimed_by,
        )


class PromptClosed(FailedPrecondition):
    """The prompt already has a resolution."""

    reason = "PROMPT_CLOSED"

    def __init__(self, prompt_id: str, state: str) -> None:
        super().__init__(f"the prompt is closed: {state}", prompt_id=prompt_id, state=state)


class NotTestMode(FailedPrecondition):
    """The answer of a scripted human reached a server that is not in test mode. Nothing was stored."""

    reason = "NOT_TEST_MODE"

    def __init__(self, answer_id: str) -> None:
        super().__init__(
            "a test's answer was sent to a server that is not in test mode; point the test at a test server",
            answer_id=answer_id,
        )


class Aborted(AskbackError):
    """Another call changed the object first."""


class VersionMismatch(Aborted):
    """`expected_version` is not the newest."""

    reason = "VERSION_MISMATCH"

    def __init__(self, expected: int, version: int) -> None:
        super().__init__(
            f"expected version {expected} but it is {version}; read again and decide again", version=version
        )


class Contention(Aborted):
    """Other commands changed the same job each time this one was tried. Nothing was changed."""

    reason = "CONTENTION"
    retry_after = 0.05


class SessionMoved(Contention):
    """Another stream of the worker has resumed its session. Nothing was changed."""

    def __init__(self) -> None:
        super().__init__("another stream of this worker has its session now; send it again on that one")


class Unauthenticated(AskbackError):
    """Credentials are missing or invalid."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(AskbackError):
    """The caller's role does not allow it, or the namespace is not the caller's."""

    reason = "PERMISSION_DENIED"


class ResourceExhausted(AskbackError):
    """A limit or a queue is exhausted."""


class LimitExceeded(ResourceExhausted):
    """A limit of the service is reached; `limit` names it."""

    reason = "LIMIT_EXCEEDED"

    def __init__(self, message: str, *, limit: str, value: object, retry_after: float | None = None) -> None:
        super().__init__(message, limit=limit, value=value)
        if retry_after is not None:
            self.retry_after = retry_after


class TooManyInFlight(LimitExceeded):
    """The stream has too many frames without a reply. The next reply makes room."""

    retry_after = 0.2

    def __init__(self, value: int) -> None:
        text = f"{value} frames of this stream wait for replies; send fewer at once"
        super().__init__(text, limit="in_flight", value=value)


class QueueFull(ResourceExhausted):
    """Too many commands wait to be written. Nothing was changed."""

    reason = "QUEUE_FULL"
    retry_after = 0.2


class Unavailable(AskbackError):
    """The replica cannot serve the call now; another one may."""

    retry_after = 0.5


class Draining(Unavailable):
    """This replica is shutting down. Nothing was changed."""

    reason = "DRAINING"


class StorageUnavailable(Unavailable):
    """The database does not answer."""

    reason = "STORAGE_UNAVAILABLE"


class OutcomeUnknown(StorageUnavailable):
    """The connection to the database was lost during the write, which may have been committed.

    A retry with the same ids is executed at most once.
    """

    def __init__(self) -> None:
        super().__init__("the database went away while this was written; send it again with the same ids")


class UnknownMethod(AskbackError):
    """This server does not have the method."""

    reason = "UNKNOWN_METHOD"

    def __init__(self) -> None:
        super().__init__("this server does not know this method; update the server")
