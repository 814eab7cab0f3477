"""Errors as Connect clients read them: an HTTP status, and a JSON body with code, message and details.

The details of the service's errors are passed on. Each has its message as base64 of protobuf, which the
protocol requires, and as JSON in `debug`, for clients without protobuf. The gateway's own refusals have the
body too: clients judge any other body by the HTTP status alone.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from starlette.responses import Response

from askback.v1 import hitl_service_pb2
from askback.web.proto_json import compact, to_json
from askback.web.refused import Refused

DOMAIN = "web.askback.dev"
"""The domain of the ErrorInfo of the gateway's own errors."""

HTTP_STATUS: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
_DETAILS_KEY = "grpc-status-details-bin"
_KNOWN: Mapping[str, type[Message]] = {
    cls.DESCRIPTOR.full_name: cls
    for cls in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RetryInfo,
        hitl_service_pb2.AnswerResult,
    )
}


def code_name(code: grpc.StatusCode) -> str:
    """The name of a code in the Connect protocol."""
    return "canceled" if code is grpc.StatusCode.CANCELLED else code.name.lower()


class ConnectError(Exception):
    """An error to reply with."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        details: Iterable[Any] = (),
        status: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`reason` is a constant of the gateway's own; `details` are Any messages; `status` is the HTTP
        status if it is another one than that of the code."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = [*details]
        if reason:
            self.details.append(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
        self.status = status or HTTP_STATUS[code]
        self.headers = dict(headers or {})

    @property
    def reason(self) -> str:
        """The reason in its ErrorInfo; empty if there is none."""
        return str(self._info.reason)

    @property
    def metadata(self) -> dict[str, str]:
        """The values in its ErrorInfo."""
        return dict(self._info.metadata)

    @property
    def _info(self) -> Any:  # google.rpc has no types
        for _, _, message in map(_unpack, self.details):
            if isinstance(message, error_details_pb2.ErrorInfo):
                return message
        return error_details_pb2.ErrorInfo()

    @property
    def may_pass(self) -> bool:
        """Whether the service asks to try again."""
        return any(_unpack(detail)[0] == "google.rpc.RetryInfo" for detail in self.details)

    def body(self) -> dict[str, Any]:
        """The body for `json.dumps`."""
        found: dict[str, Any] = {"code": code_name(self.code), "message": self.message}
        if self.details:
            found["details"] = [_shown(detail) for detail in self.details]
        return found

    def response(self) -> Response:
        """The HTTP response."""
        headers = {"cache-control": "no-store", **self.headers}
        return Response(compact(self.body()), self.status, headers, "application/json")


def _unpack(detail: Any) -> tuple[str, bytes, Message | None]:
    """Name, bytes and message of a detail; None for a message of a type that is not known here."""
    if not hasattr(detail, "type_url"):
        return detail.DESCRIPTOR.full_name, detail.SerializeToString(), detail
    name = detail.type_url.rpartition("/")[2]
    cls = _KNOWN.get(name)
    if cls is None:
        return name, detail.value, None
    try:
        return name, detail.value, cls.FromString(detail.value)
    except DecodeError:
        return name, detail.value, None


def _shown(detail: Any) -> dict[str, Any]:
    name, raw, message = _unpack(detail)
    shown: dict[str, Any] = {"type": name, "value": base64.b64encode(raw).decode().rstrip("=")}
    if message is not None:
        shown["debug"] = to_json(message)
    return shown


def from_refusal(refused: Refused) -> ConnectError:
    """The error for a request that may not be made."""
    details = []
    headers = {}
    if refused.retry_after:
        headers["retry-after"] = str(math.ceil(refused.retry_after))
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(refused.retry_after * 1000))
        details.append(retry)
    return ConnectError(
        refused.code, refused.message, reason=refused.reason, details=details, headers=headers
    )


def from_rpc(error: grpc.aio.AioRpcError) -> ConnectError:
    """The error of a call to the service.

    A status without details comes from the network or a proxy; its text may have addresses of the network
    behind the gateway, so it is replaced.
    """
    code = error.code()
    for key, value in cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata() or ()):
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                status = status_pb2.Status.FromString(value)
            except DecodeError:
                break
            if status.code == code.value[0]:
                return ConnectError(code, error.details() or code.name, details=status.details)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ConnectError(code, "the service did not answer in time", reason="DEADLINE_EXCEEDED")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return ConnectError(code, "a message is larger than it may be", reason="MESSAGE_TOO_LARGE")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ConnectError(code, "the service does not know this method", reason="UNKNOWN_METHOD")
    return ConnectError(
        grpc.StatusCode.UNAVAILABLE,
        "the gateway cannot reach the service; try again in a moment",
        reason="SERVICE_UNREACHABLE",
    )
