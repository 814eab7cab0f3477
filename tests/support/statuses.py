"""gRPC statuses with details, as the service sends them."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]


def with_reason(
    code: grpc.StatusCode, reason: str, context: Any, *details: Message, **metadata: str
) -> tuple[grpc.StatusCode, str]:
    """Put the details into the call's trailers. Returns the code and message to abort the call with."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain="askback.dev", metadata=metadata)
    packed = []
    for detail in (info, *details):
        one = AnyMessage()
        one.Pack(detail)
        packed.append(one)
    status = status_pb2.Status(code=code.value[0], message="said so", details=packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    return code, "said so"
