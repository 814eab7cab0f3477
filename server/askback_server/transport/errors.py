"""Maps errors to gRPC: to the status of a call, or to an error frame on a stream.

A status is sent in the trailers of its call, which clients limit to 8 KiB, so long texts are cut. The
trailers have the message twice: percent-encoded as text, and in base64 within the details.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import NoReturn

from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc import StatusCode

from askback.v1 import hitl_service_pb2, prompt_pb2, stream_pb2
from askback_server.domain import errors
from askback_server.domain.errors import AskbackError
from askback_server.domain.json_text import Violation, cap_violations
from askback_server.domain.prompts import AnswerResult, AnswerStatus
from askback_server.domain.receipts import AuditFailed
from askback_server.transport.call_context import Context
from askback_server.transport.convert.prompts import result_bytes, violation_messages
from askback_server.transport.convert.values import put_span

DOMAIN = "askback.dev"
DETAILS = "grpc-status-details-bin"

_CODES: dict[type[AskbackError], StatusCode] = {
    errors.InvalidArgument: StatusCode.INVALID_ARGUMENT,
    errors.NotFound: StatusCode.NOT_FOUND,
    errors.AlreadyExists: StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: StatusCode.FAILED_PRECONDITION,
    errors.Aborted: StatusCode.ABORTED,
    errors.Unauthenticated: StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: StatusCode.PERMISSION_DENIED,
    errors.ResourceExhausted: StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: StatusCode.UNAVAILABLE,
    AuditFailed: StatusCode.DATA_LOSS,
    errors.UnknownMethod: StatusCode.UNIMPLEMENTED,
}
_MAX_MESSAGE_BYTES = 400
_MAX_VALUE_BYTES = 200
_MAX_FIELD_BYTES = 200
_MAX_DESCRIPTION_BYTES = 400
_MAX_VIOLATIONS_BYTES = 2_000
_MAX_STATUS_BYTES = 4_000

_log = logging.getLogger("askback.server.errors")


class AnswerRefused(AskbackError):
    """A unary answer was not accepted. The verdict is stored under its answer_id like any other."""

    def __init__(self, message: str, result: AnswerResult, **metadata: object) -> None:
        super().__init__(message, prompt_id=result.prompt.prompt_id, **metadata)
        self.result = result


class AnswerInvalid(AnswerRefused, errors.InvalidArgument):
    """The answer does not fit the prompt."""

    reason = "ANSWER_INVALID"


class AnswerStale(AnswerRefused, errors.Aborted):
    """The answer is for an older revision of the prompt."""

    reason = "PROMPT_STALE"


class AnswerLate(AnswerRefused, errors.FailedPrecondition):
    """The prompt was closed before the answer arrived."""

    reason = "PROMPT_CLOSED"


def require_accepted(result: AnswerResult) -> AnswerResult:
    """The verdict of an accepted answer. Raises AnswerRefused for any other."""
    prompt = result.prompt
    match result.status:
        case AnswerStatus.INVALID:
            raise AnswerInvalid("the answer was refused; correct it and send it as a new one", result)
        case AnswerStatus.STALE:
            text = "the prompt has changed since it was shown; show it again and ask again"
            raise AnswerStale(text, result, revision=prompt.revision)
        case AnswerStatus.CLOSED:
            raise AnswerLate(f"the prompt is closed: {prompt.state}", result, state=prompt.state)
    return result


def code_of(error: BaseException) -> StatusCode:
    """The status code of an error; INTERNAL for an error that is not ours."""
    for cls in type(error).__mro__:
        code = _CODES.get(cls)
        if code is not None:
            return code
    return StatusCode.INTERNAL


def code_number(code: StatusCode) -> int:
    """The number of a code on the wire."""
    number: int = code.value[0]
    return number


class InternalError(AskbackError):
    """What a caller gets for a bug of the service."""

    reason = "INTERNAL"


def to_caller_error(error: BaseException) -> AskbackError:
    """The error that the caller gets. An error that is not ours is logged under a new id and becomes INTERNAL
    with this id, so that its text stays in the log.
    """
    if isinstance(error, AskbackError) and code_of(error) is not StatusCode.INTERNAL:
        return error
    if isinstance(error, InternalError):
        return error
    error_id = secrets.token_hex(8)
    _log.error("unexpected error", exc_info=error, extra={"error_id": error_id})
    return InternalError(
        f"something went wrong on our side; quote the id {error_id} when you report it", error_id=error_id
    )


def to_status(error: BaseException) -> status_pb2.Status:
    """The status of a call: one ErrorInfo, and BadRequest, RetryInfo or AnswerResult where they apply."""
    shown = to_caller_error(error)
    status = status_pb2.Status(
        code=code_number(code_of(shown)), message=_cut(shown.message, _MAX_MESSAGE_BYTES)
    )
    _add(
        status,
        error_details_pb2.ErrorInfo(
            reason=f"ERROR_REASON_{shown.reason}", domain=DOMAIN, metadata=_metadata(shown)
        ),
    )
    if found := _violations(shown):
        bad = error_details_pb2.BadRequest()
        for violation in found:
            bad.field_violations.add(field=violation.field, description=violation.description)
        _add(status, bad)
    if shown.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        put_span(retry.retry_delay, timedelta(seconds=shown.retry_after))
        _add(status, retry)
    if isinstance(shown, AnswerRefused):
        _add(status, _fit_result(shown.result, _MAX_STATUS_BYTES - status.ByteSize()))
    return status


async def abort(context: Context, error: BaseException, *metadata: tuple[str, str]) -> NoReturn:
    """End a call with the status of an error. The service ends calls with an error only here."""
    shown = to_caller_error(error)
    status = to_status(shown)
    trailers = (*metadata, (DETAILS, status.SerializeToString()))
    await context.abort(code_of(shown), status.message, trailers)
    raise AssertionError("abort raises")


def to_frame_error(error: BaseException) -> stream_pb2.FrameError:
    """The error of one frame of a stream, with the same content as the status of the unary call."""
    shown = to_caller_error(error)
    frame = stream_pb2.FrameError(
        code=code_number(code_of(shown)),
        reason=f"ERROR_REASON_{shown.reason}",
        message=_cut(shown.message, _MAX_MESSAGE_BYTES),
        metadata=_metadata(shown),
        violations=violation_messages(_violations(shown)),
    )
    if shown.retry_after is not None:
        put_span(frame.retry_delay, timedelta(seconds=shown.retry_after))
    return frame


def _add(status: status_pb2.Status, detail: object) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)  # type: ignore[arg-type]
    status.details.append(packed)


def _metadata(error: AskbackError) -> dict[str, str]:
    return {key: _cut(value, _MAX_VALUE_BYTES) for key, value in error.metadata.items()}


def _violations(error: AskbackError) -> tuple[Violation, ...]:
    if isinstance(error, errors.InvalidField):
        return tuple(fit_violations(error.violations))
    if isinstance(error, AnswerInvalid):
        return tuple(fit_violations(error.result.violations))
    return ()


def fit_violations(violations: Iterable[Violation]) -> Iterable[Violation]:
    """The first violations, cut, that fit into a status or into one of many results."""
    room = _MAX_VIOLATIONS_BYTES
    for violation in cap_violations(violations):
        short = Violation(
            _cut(violation.field, _MAX_FIELD_BYTES), _cut(violation.description, _MAX_DESCRIPTION_BYTES)
        )
        room -= len(short.field.encode()) + len(short.description.encode()) + 8
        if room < 0:
            return
        yield short


def _fit_result(result: AnswerResult, room: int) -> hitl_service_pb2.AnswerResult:
    """The verdict, without the parts of its prompt that do not fit into `room` bytes: GetPrompt has them."""
    message = hitl_service_pb2.AnswerResult.FromString(result_bytes(result))
    for drop in (_drop_content, _drop_answer, _drop_violations, _drop_prompt):
        if message.ByteSize() <= room:
            break
        drop(message)
    return message


def _drop_content(message: hitl_service_pb2.AnswerResult) -> None:
    message.prompt.ClearField("content")


def _drop_answer(message: hitl_service_pb2.AnswerResult) -> None:
    answer = message.prompt.resolution.answer
    kept = prompt_pb2.Answer(answer_id=answer.answer_id, decision=answer.decision, user_id=answer.user_id)
    if message.prompt.resolution.HasField("answer"):
        answer.CopyFrom(kept)


def _drop_violations(message: hitl_service_pb2.AnswerResult) -> None:
    message.ClearField("violations")  # BadRequest has them too


def _drop_prompt(message: hitl_service_pb2.AnswerResult) -> None:
    message.ClearField("prompt")


def _cut(text: str, maximum: int) -> str:
    """The text, valid as UTF-8, cut to `maximum` bytes."""
    if len(text) <= maximum and text.isascii():
        return text
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= maximum:
        return raw.decode()
    return raw[: maximum - 3].decode("utf-8", "ignore") + "…"
