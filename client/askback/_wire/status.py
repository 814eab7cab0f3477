"""Converts gRPC statuses and error frames to exceptions of askback.errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from askback import errors
from askback._model.prompts import PromptInfo
from askback._wire.receipt_errors import AuditFailed, ReceiptUnavailable
from askback.errors import AskbackError, Violation
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
    errors.Unimplemented,
    errors.Internal,
)
_BY_CODE: dict[str, type[AskbackError]] = {
    **{cls.code: cls for cls in _CLASSES},
    "CANCELLED": errors.Unavailable,
    AuditFailed.code: AuditFailed,
}
_BY_REASON: dict[str, type[AskbackError]] = {
    "ERROR_REASON_LEASE_LOST": errors.LeaseLost,
    "ERROR_REASON_SESSION_NOT_FOUND": errors.SessionNotFound,
    "ERROR_REASON_PROMPT_CLOSED": errors.PromptClosed,
    "ERROR_REASON_PROMPT_STALE": errors.PromptStale,
    "ERROR_REASON_PROMPT_CLAIMED": errors.PromptClaimed,
    "ERROR_REASON_ANSWER_INVALID": errors.AnswerInvalid,
    "ERROR_REASON_DELEGATION_REFUSED": errors.DelegationRefused,
    "ERROR_REASON_RECEIPT_UNAVAILABLE": ReceiptUnavailable,
}
DOMAIN = "askback.dev"
"""The domain of Askback's ErrorInfo."""
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
    """Build an error of the service, in its most specific class: by reason, else by code."""
    cls = _BY_REASON.get(reason) or _BY_CODE.get(code) or AskbackError
    error = cls(
        message,
        code=code,
        reason=reason,
        metadata=metadata,
        violations=violations,
        retry_after=retry_after,
    )
    error.from_server = True
    if isinstance(error, errors.AnswerInvalid | errors.PromptStale | errors.PromptClosed) and result:
        error.prompt = PromptInfo(result.prompt)
    return error


_DETAILS_KEY = "grpc-status-details-bin"
"""The trailer that carries a google.rpc.Status (https://grpc.io/docs/guides/error/)."""


def _details(error: grpc.aio.AioRpcError) -> Iterable[Any]:
    """The details of a call's status; empty if it cannot be parsed or has another code than the call."""
    for key, value in cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata() or ()):
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                status = status_pb2.Status.FromString(value)
            except DecodeError:
                return ()
            return status.details if status.code == error.code().value[0] else ()
    return ()


def from_rpc(error: grpc.aio.AioRpcError) -> AskbackError:
    """Convert the error of a failed call. Details that cannot be parsed are left out.

    A status without Askback's ErrorInfo comes from the network or a proxy, whatever its code: it says
    nothing about the request (`from_server` is false). It becomes Unavailable, except for an expired
    deadline, a message over the size limit and an unknown method.
    """
    code = error.code().name
    ours, reason, metadata = False, "", dict[str, str]()
    violations: list[Violation] = []
    retry_after: float | None = None
    result: hitl.AnswerResult | None = None
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            if info.domain == DOMAIN:
                ours, reason, metadata = True, info.reason, dict(info.metadata)
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
    if not ours:
        return _from_network(code, error.details() or "")
    return make_error(
        code,
        reason,
        error.details() or code,
        metadata=metadata,
        violations=violations,
        retry_after=retry_after,
        result=result,
    )


# Texts of grpc's C core, grpc-go and grpc-java; 413 comes from proxies.
_TOO_LARGE = re.compile(
    r"message (is )?(larger|bigger) than|message exceeds maximum|header with status: 413", re.IGNORECASE
)
# Texts of the C core about connections, and their meaning. The first match counts.
_BROKEN = tuple(
    (re.compile(found, re.IGNORECASE), words)
    for found, words in (
        (r"connection refused", "nothing listens there (connection refused)"),
        (
            r"health check",
            "it takes connections and is not ready: it is starting or draining, or a proxy without a server",
        ),
        (r"dns (resolution|query)|name resolution|domain name not found", "its name cannot be resolved"),
        (r"no route to host|network is unreachable|host is down", "there is no way to it in the network"),
        (r"handshake|certificate|\bssl\b|\btls\b|\btsi\b", "the TLS handshake failed"),
        (r"timed? ?out|timeout", "it does not answer"),
        (
            r"socket closed|connection (reset|aborted)|broken pipe|goaway|stream removed|transport closed",
            "the connection was cut",
        ),
        (r"failed to connect|connection", "the connection failed or was lost"),
    )
)
_HTTP = re.compile(r"header with status: (\d{3})|HTTP status code[^\d]*(\d{3})", re.IGNORECASE)


def _from_network(code: str, details: str) -> AskbackError:
    """The error for a status that the network or a proxy produced."""
    text = " ".join(details.split())[:300]
    http = _HTTP.search(text)
    if _TOO_LARGE.search(text):
        return errors.MessageTooLarge(
            f"a message is larger than it may be ({text}); send less, or a reference to it"
        )
    if code == "UNIMPLEMENTED" and http is None:
        return errors.Unimplemented(f"the method is not known there ({text or code})")
    if code == "DEADLINE_EXCEEDED":
        return errors.DeadlineExceeded("there was no answer in time")
    if http is not None:
        text = f"a proxy or another server answered in its place with HTTP {http[1] or http[2]}"
    elif words := next((words for found, words in _BROKEN if found.search(text)), ""):
        # gRPC's own text, with every address and system call, goes to the metadata.
        return errors.Unavailable(words, metadata={"grpc_code": code, "grpc_text": text})
    return errors.Unavailable(text or code, metadata={"grpc_code": code})


def from_frame(error: stream_pb2.FrameError) -> AskbackError:
    """Convert an error frame of a stream."""
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
    """The error that the unary AnswerPrompt would raise for this result; None if the answer was accepted."""
    about = {"prompt_id": result.prompt.prompt_id}
    return refusal(result.status, about, violations=result.violations, result=result)


def refusal(
    status: prompt_pb2.AnswerStatus.ValueType,
    metadata: dict[str, str],
    *,
    violations: Iterable[prompt_pb2.FieldViolation],
    result: hitl.AnswerResult | None = None,
) -> AskbackError | None:
    """The error for an answer with this status; None if it was accepted. `result` has the prompt."""
    refused = _REFUSED.get(status)
    if refused is None:
        return None
    code, reason, message = refused
    return make_error(
        code, reason, message, metadata=metadata, violations=_violations(violations), result=result
    )


def _violations(found: Iterable[prompt_pb2.FieldViolation]) -> tuple[Violation, ...]:
    return tuple(Violation(v.field, v.description) for v in found)


_TRANSIENT = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
_TRANSIENT_REASONS = frozenset({"ERROR_REASON_CONTENTION", "ERROR_REASON_QUEUE_FULL"})
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


def is_transient(error: AskbackError) -> bool:
    """Whether a retry of an idempotent request is likely to succeed."""
    if not error.from_server:
        return not is_fatal(error)
    return error.code in _TRANSIENT or error.reason in _TRANSIENT_REASONS or error.retry_after is not None


def is_fatal(error: AskbackError) -> bool:
    """Whether a reconnected stream would fail in the same way. An error with `retry_after` is not fatal."""
    if not error.from_server:
        misplaced = isinstance(error, errors.CannotConnect) and not error.passing
        return misplaced or isinstance(error, errors.MessageTooLarge)
    return error.code in _FATAL and error.retry_after is None
