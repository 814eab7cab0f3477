"""Checks the head of a request and reads its body, before anything is parsed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import grpc
from starlette.requests import Request

from askback.web.connect_errors import ConnectError
from askback.web.contract import METHODS, Method
from askback.web.settings import WebLimits

JSON = "application/json"
_TIMEOUT = re.compile(r"[0-9]{1,10}")
_LINGER_SECONDS = 1.0
"""How long the rest of a body that is too long is read."""
_PARAMETERS = re.compile(r"(\s*;\s*charset=(utf-8|\"utf-8\"))?\s*", re.IGNORECASE)


def method_of(request: Request) -> Method:
    """The unary method that the request calls. Raises ConnectError for any other request."""
    method = METHODS.get(request.url.path)
    unimplemented = grpc.StatusCode.UNIMPLEMENTED
    if method is None:
        raise ConnectError(unimplemented, "there is no such method", reason="UNKNOWN_METHOD", status=404)
    if request.method != "POST":
        text = "call it by POST: an address with a request in it ends up in logs and caches"
        raise ConnectError(unimplemented, text, reason="NOT_POST", status=405, headers={"allow": "POST"})
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != JSON or not _PARAMETERS.fullmatch(f";{parameters}" if parameters else ""):
        text = f"send the message as {JSON}; binary messages and streams are not spoken here"
        headers = {"accept-post": JSON}
        raise ConnectError(unimplemented, text, reason="CONTENT_TYPE", status=415, headers=headers)
    if method.streaming:
        text = "this is a stream: open the WebSocket /converse, or an event stream under /events"
        raise ConnectError(unimplemented, text, reason="STREAM")
    if request.headers.get("content-encoding", "identity") != "identity":
        headers = {"accept-encoding": "identity"}
        raise ConnectError(unimplemented, "send the body uncompressed", reason="ENCODING", headers=headers)
    if (version := request.headers.get("connect-protocol-version", "1")) != "1":
        text = f"connect-protocol-version must be 1, not {version[:20]!r}"
        raise ConnectError(grpc.StatusCode.INVALID_ARGUMENT, text, reason="PROTOCOL_VERSION")
    return method


def timeout_of(request: Request, limits: WebLimits) -> float:
    """The deadline of the call in seconds. Raises ConnectError."""
    text = request.headers.get("connect-timeout-ms")
    if text is None:
        return limits.call_seconds
    if not _TIMEOUT.fullmatch(text):
        message = "connect-timeout-ms must have one to ten digits"
        raise ConnectError(grpc.StatusCode.INVALID_ARGUMENT, message, reason="TIMEOUT")
    return min(int(text) / 1000, limits.max_call_seconds)


async def read_body(request: Request, limits: WebLimits) -> bytes:
    """The whole body. Raises ConnectError if it is too long or too slow, and ClientDisconnect.

    Of a body that turns out to be too long, as much again is read and dropped for a moment: a connection that
    ends with unread bytes is reset, and then the client may lose the reply.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise _too_large(limits)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = request.stream()
            async for chunk in body:
                size += len(chunk)
                if size > limits.body_bytes:
                    await _drop(body, limits.body_bytes)
                    raise _too_large(limits)
                chunks.append(chunk)
    except TimeoutError:
        text = f"the body did not arrive within {limits.body_seconds:g} s"
        raise ConnectError(grpc.StatusCode.CANCELLED, text, reason="SLOW_BODY", status=408) from None
    return b"".join(chunks)


async def _drop(body: AsyncIterator[bytes], most: int) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            async for chunk in body:
                most -= len(chunk)
                if most <= 0:
                    return


def _too_large(limits: WebLimits) -> ConnectError:
    text = f"the body has more than {limits.body_bytes} bytes"
    # The body may not have been read to its end, so the connection cannot be used again.
    headers = {"connection": "close"}
    return ConnectError(
        grpc.StatusCode.RESOURCE_EXHAUSTED, text, reason="MESSAGE_TOO_LARGE", status=413, headers=headers
    )


async def wait_for_disconnect(request: Request) -> None:
    """Wait until the client has gone. Call it after the body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
