"""Refusals: what a refused call or frame contains, and how to expect one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import code_pb2, error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import (
    stream_pb2,
)

SOON = 30.0
"""Seconds after which a wait fails."""


@dataclass
class Refusal:
    """The content of a status, or of the error in a frame."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: dict[str, str] = field(default_factory=dict)
    retry_delay: float | None = None
    result: hitl.AnswerResult | None = None


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """The status of a call with its details. Fails unless they contain exactly one ErrorInfo."""
    found = Refusal(error.code(), error.details() or "")
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    infos = 0
    for detail in status.details if status is not None else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry, result = error_details_pb2.RetryInfo(), hitl.AnswerResult()
        if detail.Unpack(info):
            assert info.domain == "askback.dev"
            infos += 1
            found.reason = info.reason.removeprefix("ERROR_REASON_")
            found.metadata = dict(info.metadata)
        elif detail.Unpack(bad):
            found.violations = {v.field: v.description for v in bad.field_violations}
        elif detail.Unpack(retry):
            found.retry_delay = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Unpack(result):
            found.result = result
    assert infos == (1 if status is not None else 0)
    return found


def frame_refusal(error: stream_pb2.FrameError) -> Refusal:
    """Like `refusal_of`, for the error in a frame."""
    assert error.reason.startswith("ERROR_REASON_"), "a FrameError without a reason"
    code = grpc.StatusCode[code_pb2.Code.Name(error.code)]
    delay = error.retry_delay.ToTimedelta().total_seconds() if error.HasField("retry_delay") else None
    violations = {v.field: v.description for v in error.violations}
    reason = error.reason.removeprefix("ERROR_REASON_")
    return Refusal(code, error.message, reason, dict(error.metadata), violations, delay)


async def expect_refusal(call: Awaitable[Any], code: str, reason: str, **metadata: str) -> Refusal:
    """Assert that the call fails with this code and reason; only the given metadata is compared."""
    try:
        async with asyncio.timeout(SOON):
            answer = await call
    except grpc.aio.AioRpcError as error:
        found = refusal_of(error)
    else:
        raise AssertionError(f"expected {reason}, got {answer}")
    check(found, code, reason, **metadata)
    return found


async def outcome(call: Awaitable[Any]) -> str:
    """The name of the status code of a call."""
    try:
        async with asyncio.timeout(SOON):
            await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


def check(found: Refusal, code: str, reason: str, **metadata: str) -> None:
    """Assert that a refusal has this code, reason and metadata."""
    assert (found.code.name, found.reason) == (code, reason), found
    assert found.message
    assert {k: found.metadata.get(k) for k in metadata} == metadata
    if reason in ("INVALID_FIELD", "ANSWER_INVALID"):
        assert found.violations, "which field was wrong?"
