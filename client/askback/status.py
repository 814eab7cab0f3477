"""From gRPC statuses and error frames to the exception tree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from askback import errors
from askback.errors import AskbackError, Violation
from askback.prompts import PromptInfo
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2, stream_pb2

_CLASSES: tuple[type[AskbackError], ...] = (
    errors.InvalidArgument,
    errors.NotFound,
    errors.AlreadyExists,
    errors.FailedPrecondition,
    errors.Aborted,
    errors.Unauthenticated,
    errors.PermissionDenied,
    errors.ResourceExhausted,
    errors.Unavailable,
    errors.DeadlineExceeded,
    errors.Internal,
)
_BY_CODE: dict[str, type[AskbackError]] = {
    **{cls.code: cls for cls in _CLASSES},
    "CANCELLED": errors.Unavailable,
}
_BY_REASON: dict[str, type[AskbackError]] = {
    "ERROR_REASON_LEASE_LOST": errors.LeaseLost,
    "ERROR_REASON_SESSION_NOT_FOUND": errors.SessionNotFound,
    "ERROR_REASON_PROMPT_CLOSED": errors.PromptClosed,
    "ERROR_REASON_PROMPT_STALE": errors.PromptStale,
    "ERROR_REASON_PROMPT_CLAIMED": errors.PromptClaimed,
    "ERROR_REASON_ANSWER_INVALID": errors.AnswerInvalid,
}
_CODES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


def make_error(
    code: str,
    reason: str,
    message: str,
    *,
    metadata: dict[str, str] | None = None,
    violations: Iterable[Violation] = (),
    retry_after: float | None = None,
    result: hitl.AnswerResult | None = None,
) -> AskbackError:
    """The error of the most telling class: by reason, else by code, else AskbackError itself."""
    cls = _BY_REASON.get(reason) or _BY_CODE.get(code) or AskbackError
    error = cls(
        message,
        code=code,
        reason=reason,
        metadata=metadata,
        violations=violations,
        retry_after=retry_after,
    )
    if isinstance(error, errors.AnswerInvalid | errors.PromptStale | errors.PromptClosed) and result:
        error.prompt = PromptInfo(result.prompt)
    return error


def from_rpc(error: grpc.aio.AioRpcError) -> AskbackError:
    """The error that a failed call stands for. Details that cannot be read are left out."""
    code = error.code().name
    reason, metadata = "", dict[str, str]()
    violations: list[Violation] = []
    retry_after: float | None = None
    result: hitl.AnswerResult | None = None
    try:
        status = rpc_status.from_call(cast(grpc.Call, error))
    except ValueError:
        status = None
    for detail in status.details if status else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            violations = [Violation(v.field, v.description) for v in bad.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Is(hitl.AnswerResult.DESCRIPTOR):
            result = hitl.AnswerResult()
            detail.Unpack(result)
    return make_error(
        code,
        reason,
        error.details() or code,
        metadata=metadata,
        violations=violations,
        retry_after=retry_after,
        result=result,
    )


def from_frame(error: stream_pb2.FrameError) -> AskbackError:
    """The error of one frame of a stream."""
    return make_error(
        _CODES.get(error.code, "UNKNOWN"),
        error.reason,
        error.message,
        metadata=dict(error.metadata),
        violations=_violations(error.violations),
        retry_after=error.retry_delay.ToTimedelta().total_seconds()
        if error.HasField("retry_delay")
        else None,
    )


_REFUSED = {
    prompt_pb2.ANSWER_STATUS_CLOSED: (
        "FAILED_PRECONDITION",
        "ERROR_REASON_PROMPT_CLOSED",
        "the prompt had ended already",
    ),
    prompt_pb2.ANSWER_STATUS_STALE: (
        "ABORTED",
        "ERROR_REASON_PROMPT_STALE",
        "the prompt changed since it was shown; look at it again",
    ),
    prompt_pb2.ANSWER_STATUS_INVALID: (
        "INVALID_ARGUMENT",
        "ERROR_REASON_ANSWER_INVALID",
        "the answer was refused; the prompt stays open",
    ),
}


def from_result(result: hitl.AnswerResult) -> AskbackError | None:
    """What the unary AnswerPrompt would have raised for this verdict; None if the answer was taken."""
    refused = _REFUSED.get(result.status)
    if refused is None:
        return None
    code, reason, message = refused
    return make_error(
        code,
        reason,
        message,
        metadata={"prompt_id": result.prompt.prompt_id},
        violations=_violations(result.violations),
        result=result,
    )


def _violations(found: Iterable[prompt_pb2.FieldViolation]) -> tuple[Violation, ...]:
    return tuple(Violation(v.field, v.description) for v in found)


_TRANSIENT = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
"""CANCELLED: by a server that shuts down; our own cancelling is no status, but asyncio.CancelledError."""
_TRANSIENT_REASONS = frozenset({"ERROR_REASON_CONTENTION", "ERROR_REASON_QUEUE_FULL"})


def is_transient(error: AskbackError) -> bool:
    """Whether the same idempotent request may well succeed a little later."""
    return error.code in _TRANSIENT or error.reason in _TRANSIENT_REASONS or error.retry_after is not None


_FATAL = frozenset(
    {
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "INVALID_ARGUMENT",
        "UNIMPLEMENTED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "FAILED_PRECONDITION",
        "OUT_OF_RANGE",
    }
)


def is_fatal(error: AskbackError) -> bool:
    """Whether a stream that ended like this would end alike when it is opened again."""
    return error.code in _FATAL
