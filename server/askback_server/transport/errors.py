"""The one mapping from what can be wrong to gRPC: a status for a call, an error frame on a stream.

A status travels in the trailers of its call, which clients cap at 8 KiB: what would not fit is cut.
The message goes there twice, percent-encoded as text and in base64 with the details.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NoReturn

from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc import StatusCode

from askback.v1 import hitl_service_pb2, prompt_pb2, stream_pb2
from askback_server.domain import errors
from askback_server.domain.errors import AskbackError
from askback_server.domain.json_text import Violation, cap_violations
from askback_server.domain.prompts import AnswerResult, AnswerStatus
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
    errors.UnknownMethod: StatusCode.UNIMPLEMENTED,
}
_MESSAGE_BYTES = 400
_VALUE_BYTES = 200
_FIELD_BYTES = 200
_DESCRIPTION_BYTES = 400
_VIOLATIONS_BYTES = 2_000
_STATUS_BYTES = 4_000

_log = logging.getLogger("askback.server.errors")


class AnswerRefused(AskbackError):
    """The verdict on a unary answer that is not OK; it is kept under its answer_id like any other."""

    def __init__(self, message: str, result: AnswerResult, **metadata: object) -> None:
        super().__init__(message, prompt_id=result.prompt.prompt_id, **metadata)
        self.result = result


class AnswerInvalid(AnswerRefused, errors.InvalidArgument):
    """INVALID."""

    reason = "ANSWER_INVALID"


class AnswerStale(AnswerRefused, errors.Aborted):
    """STALE."""

    reason = "PROMPT_STALE"


class AnswerLate(AnswerRefused, errors.FailedPrecondition):
    """CLOSED."""

    reason = "PROMPT_CLOSED"


def taken_answer(result: AnswerResult) -> AnswerResult:
    """The verdict, where it is OK for a unary call. Raises AnswerRefused where it is not."""
    prompt = result.prompt
    match result.status:
        case AnswerStatus.INVALID:
            raise AnswerInvalid("the answer was refused; correct it and send it as a new one", result)
        case AnswerStatus.STALE:
            text = "the prompt has changed since it was shown; show it again and ask anew"
            raise AnswerStale(text, result, revision=prompt.revision)
        case AnswerStatus.CLOSED:
            raise AnswerLate(f"the prompt is closed: {prompt.state}", result, state=prompt.state)
    return result


def code_of(error: BaseException) -> StatusCode:
    """The canonical code of an error; INTERNAL for what is not one of ours."""
    for cls in type(error).__mro__:
        code = _CODES.get(cls)
        if code is not None:
            return code
    return StatusCode.INTERNAL


def code_number(code: StatusCode) -> int:
    """A code as it is written on the wire."""
    number: int = code.value[0]
    return number


class InternalError(AskbackError):
    """A bug of ours, as the caller sees it."""

    reason = "INTERNAL"


def known(error: BaseException) -> AskbackError:
    """The error as the caller may see it: its own, or INTERNAL with an id that the log names."""
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
    """The status of a call: exactly one ErrorInfo, then what else its error has to say."""
    shown = known(error)
    status = status_pb2.Status(code=code_number(code_of(shown)), message=_cut(shown.message, _MESSAGE_BYTES))
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
        _add(status, _fitting(shown.result, _STATUS_BYTES - status.ByteSize()))
    return status


async def abort(context: Any, error: BaseException, *metadata: tuple[str, str]) -> NoReturn:
    """End a call with the status of an error. Every status that the service makes is made here."""
    shown = known(error)
    status = to_status(shown)
    trailers = (*metadata, (DETAILS, status.SerializeToString()))
    await context.abort(code_of(shown), status.message, trailers)
    raise AssertionError("abort raises")


def to_frame_error(error: BaseException) -> stream_pb2.FrameError:
    """The error of one frame of a stream; it says what the unary call's status would."""
    shown = known(error)
    frame = stream_pb2.FrameError(
        code=code_number(code_of(shown)),
        reason=f"ERROR_REASON_{shown.reason}",
        message=_cut(shown.message, _MESSAGE_BYTES),
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
    return {key: _cut(value, _VALUE_BYTES) for key, value in error.metadata.items()}


def _violations(error: AskbackError) -> tuple[Violation, ...]:
    if isinstance(error, errors.InvalidField):
        return tuple(_within_room(error.violations))
    if isinstance(error, AnswerInvalid):
        return tuple(_within_room(error.result.violations))
    return ()


def _within_room(violations: Iterable[Violation]) -> Iterable[Violation]:
    """As many as fit; the first one always does."""
    room = _VIOLATIONS_BYTES
    for violation in cap_violations(violations):
        short = Violation(
            _cut(violation.field, _FIELD_BYTES), _cut(violation.description, _DESCRIPTION_BYTES)
        )
        room -= len(short.field.encode()) + len(short.description.encode()) + 8
        if room < 0:
            return
        yield short


def _fitting(result: AnswerResult, room: int) -> hitl_service_pb2.AnswerResult:
    """The verdict, with as much of its prompt as has room; GetPrompt has the rest."""
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
    message.ClearField("violations")  # BadRequest has them


def _drop_prompt(message: hitl_service_pb2.AnswerResult) -> None:
    message.ClearField("prompt")


def _cut(text: str, most: int) -> str:
    """The text, storable as UTF-8, in at most so many bytes."""
    if len(text) <= most and text.isascii():
        return text
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= most:
        return raw.decode()
    return raw[: most - 3].decode("utf-8", "ignore") + "…"
