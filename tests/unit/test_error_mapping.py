"""Errors on the wire: each has the code and reason that the comments of the contract name."""

import asyncio
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from askback import errors as client_errors
from askback.v1 import hitl_service_pb2, stream_pb2
from askback.v1.error_reason_pb2 import ErrorReason
from askback_server.domain import errors
from askback_server.domain.json_text import Violation
from askback_server.domain.prompts import AnswerResult, AnswerStatus
from askback_server.transport import errors as mapping
from askback_server.transport.convert.prompts import prompt_message
from tests.support.wire_samples import CLOSED, OPEN

PROTO = Path(__file__).parents[2] / "protos/askback/v1/error_reason.proto"


def classes(root: type[errors.AskbackError] = errors.AskbackError) -> Iterator[type[errors.AskbackError]]:
    for cls in root.__subclasses__():
        yield cls
        yield from classes(cls)


WITH_REASON = {cls for cls in classes() if "reason" in vars(cls)}
REFUSED: dict[AnswerStatus, tuple[str, str]] = {
    AnswerStatus.INVALID: ("INVALID_ARGUMENT", "ANSWER_INVALID"),
    AnswerStatus.STALE: ("ABORTED", "PROMPT_STALE"),
    AnswerStatus.CLOSED: ("FAILED_PRECONDITION", "PROMPT_CLOSED"),
}


def contract() -> dict[str, str]:
    """The code that the comment of each reason names."""
    text = PROTO.read_text("utf-8")
    found = re.findall(r"// ([A-Z_]+): (?:[^=]|\n)*?ERROR_REASON_([A-Z_]+) = \d+;", text)
    return {reason: code for code, reason in found}


def details(status: status_pb2.Status) -> dict[str, Any]:
    """The details by type name. Each type occurs once."""
    types = [
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RetryInfo,
        hitl_service_pb2.AnswerResult,
    ]
    found = {}
    for packed in status.details:
        [cls] = [t for t in types if packed.Is(t.DESCRIPTOR)]
        message = cls()
        packed.Unpack(message)
        assert cls.__name__ not in found
        found[cls.__name__] = message
    return found


def make_error(cls: type[errors.AskbackError]) -> errors.AskbackError:
    error = cls.__new__(cls)
    errors.AskbackError.__init__(error, "do something else", key="value")
    return error


def test_domain_and_contract_have_the_same_reasons() -> None:
    ours = {cls.reason for cls in WITH_REASON} | {errors.AskbackError.reason}
    assert ours == {n.removeprefix("ERROR_REASON_") for n, _ in ErrorReason.items()} - {"UNSPECIFIED"}
    assert set(contract()) == ours


@pytest.mark.parametrize("cls", sorted(WITH_REASON, key=lambda c: c.__name__))
def test_every_class_has_the_code_that_the_contract_names(cls: type[errors.AskbackError]) -> None:
    assert mapping.code_of(make_error(cls)).name == contract()[cls.reason]


@pytest.mark.parametrize(
    "cls", sorted({c for c in WITH_REASON if c.__module__ == errors.__name__}, key=lambda c: c.__name__)
)
def test_a_status_carries_reason_and_metadata_of_the_error(cls: type[errors.AskbackError]) -> None:
    error = make_error(cls)
    if isinstance(error, errors.InvalidField):
        error.violations = (Violation("a", "b"),)
    status = mapping.to_status(error)
    found = details(status)
    info = found.pop("ErrorInfo")
    assert status.message == "do something else"
    assert (info.reason, info.domain) == (f"ERROR_REASON_{cls.reason}", "askback.dev")
    assert dict(info.metadata) == {"key": "value"}
    retry = found.pop("RetryInfo", None)
    assert (retry is not None) == (cls.retry_after is not None)
    if retry is not None:
        assert retry.retry_delay.ToTimedelta() == timedelta(seconds=cls.retry_after or 0)
    assert set(found) == ({"BadRequest"} if cls is errors.InvalidField else set())


@pytest.mark.parametrize("cls", sorted(WITH_REASON, key=lambda c: c.__name__))
def test_an_error_frame_equals_the_status(cls: type[errors.AskbackError]) -> None:
    error = make_error(cls)
    if isinstance(error, errors.InvalidField):
        error.violations = (Violation("a", "b"),)
    if isinstance(error, mapping.AnswerRefused):
        error.result = AnswerResult(AnswerStatus.CLOSED, "a", CLOSED)
    if cls is mapping.InternalError:
        assert mapping.to_frame_error(error).code == 13
    status, frame = mapping.to_status(error), mapping.to_frame_error(error)
    found = details(status)
    assert (frame.code, frame.message) == (status.code, status.message)
    assert frame.reason == found["ErrorInfo"].reason
    assert frame.metadata == found["ErrorInfo"].metadata
    assert frame.HasField("retry_delay") == ("RetryInfo" in found)
    if "RetryInfo" in found:
        assert frame.retry_delay == found["RetryInfo"].retry_delay


def test_violations_are_reported_field_by_field() -> None:
    error = errors.InvalidField([Violation("a.b", "is required"), Violation("c", "must be one line")])
    fields = details(mapping.to_status(error))["BadRequest"].field_violations
    assert [(v.field, v.description) for v in fields] == [
        ("a.b", "is required"),
        ("c", "must be one line"),
    ]
    assert [v.field for v in mapping.to_frame_error(error).violations] == ["a.b", "c"]


@pytest.mark.parametrize("status", REFUSED)
def test_a_refused_answer_carries_its_verdict(status: AnswerStatus) -> None:
    prompt = CLOSED if status is AnswerStatus.CLOSED else OPEN
    wrong = (Violation("values_json/n", "must be at most 3"),) if status is AnswerStatus.INVALID else ()
    result = AnswerResult(status, "a-1", prompt, True, wrong)
    with pytest.raises(mapping.AnswerRefused) as refused:
        mapping.require_accepted(result)
    sent = mapping.to_status(refused.value)
    found = details(sent)
    code, reason = REFUSED[status]
    assert mapping.code_of(refused.value).name == code
    assert found["ErrorInfo"].reason == f"ERROR_REASON_{reason}"
    assert found["ErrorInfo"].metadata["prompt_id"] == prompt.prompt_id
    verdict = found["AnswerResult"]
    assert (verdict.answer_id, verdict.replayed) == ("a-1", True)
    assert verdict.prompt == prompt_message(prompt)
    assert ("BadRequest" in found) == bool(wrong)


def test_accepted_answers_raise_nothing() -> None:
    for status in (AnswerStatus.ACCEPTED, AnswerStatus.RECORDED):
        result = AnswerResult(status, "a", CLOSED)
        assert mapping.require_accepted(result) is result


def test_an_unknown_error_is_reported_by_its_id_only(caplog: pytest.LogCaptureFixture) -> None:
    for error in (RuntimeError("swordfish"), errors.AskbackError("swordfish"), asyncio.CancelledError()):
        caplog.clear()
        status, frame = mapping.to_status(error), mapping.to_frame_error(error)
        ids = [record.error_id for record in caplog.records]  # type: ignore[attr-defined]
        assert len(set(ids)) == 2
        info = details(status)["ErrorInfo"]
        assert (status.code, info.reason) == (13, "ERROR_REASON_INTERNAL")
        assert dict(info.metadata) == {"error_id": ids[0]}
        assert dict(frame.metadata) == {"error_id": ids[1]}
        assert "swordfish" not in str(status) + str(frame)
        assert all(r.levelno == logging.ERROR and r.exc_info for r in caplog.records)


LONG = "🙂" * 300_000


@pytest.mark.parametrize(
    "error",
    [
        errors.JobNotFound(LONG),
        errors.PromptNotFound(job_id=LONG, key=LONG),
        errors.InvalidField([Violation(LONG, LONG)] * 100),
        errors.InvalidField([Violation(f"f[{n}]", "is wrong " * 20) for n in range(100)]),
        errors.IdReused("answer_id", LONG, prompt_id=LONG, state=LONG),
        mapping.AnswerInvalid(
            "no", AnswerResult(AnswerStatus.INVALID, "a" * 200, OPEN, False, (Violation(LONG, LONG),) * 50)
        ),
        mapping.AnswerStale(
            "no",
            AnswerResult(
                AnswerStatus.STALE, "a", replace(OPEN, content=replace(OPEN.content, body="b" * 500_000))
            ),
        ),
        mapping.AnswerLate(
            "no",
            AnswerResult(
                AnswerStatus.CLOSED,
                "a",
                replace(
                    CLOSED,
                    resolution=replace(
                        CLOSED.resolution,  # type: ignore[type-var]
                        reason="r" * 3_000,
                        answer=replace(CLOSED.resolution.answer, values_json="v" * 200_000),  # type: ignore[union-attr,type-var]
                    ),
                ),
            ),
        ),
    ],
    ids=lambda e: type(e).__name__,
)
async def test_every_status_fits_into_the_trailers_of_a_real_call(error: errors.AskbackError) -> None:
    status = mapping.to_status(error)

    async def fail(request: bytes, context: Any) -> None:
        raw = status.SerializeToString()
        await context.abort(mapping.code_of(error), status.message, (("grpc-status-details-bin", raw),))

    server = grpc.aio.server()
    handlers = {"Fail": grpc.unary_unary_rpc_method_handler(fail)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/t.T/Fail")(b"")
    await server.stop(0)
    assert refused.value.code() is mapping.code_of(error)
    assert refused.value.details() == status.message
    sent = dict(refused.value.trailing_metadata())
    percent_encoded = sum(1 if 0x20 <= b < 0x7F else 3 for b in status.message.encode())
    assert len(sent["grpc-status-details-bin"]) * 4 / 3 + percent_encoded < 7_800
    found = details(status_pb2.Status.FromString(sent["grpc-status-details-bin"]))
    assert found["ErrorInfo"].reason == f"ERROR_REASON_{error.reason}"
    if isinstance(error, mapping.AnswerRefused):
        assert found["AnswerResult"].status
        assert found["AnswerResult"].prompt.prompt_id in ("", OPEN.prompt_id)
    assert mapping.to_frame_error(error) != stream_pb2.FrameError()


def test_a_violation_equal_to_the_message_is_reported_once() -> None:
    one = client_errors.Violation("prompt.title", "is required")
    two = client_errors.Violation("deadline", "has passed")
    alone = client_errors.InvalidArgument("prompt.title: is required", violations=(one,))
    assert str(alone) == "prompt.title: is required"
    both = client_errors.InvalidArgument("2 fields are wrong", violations=(one, two))
    assert str(both) == "2 fields are wrong\n  prompt.title: is required\n  deadline: has passed"
