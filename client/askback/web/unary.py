"""Unary calls over plain POST, as the Connect protocol has them: https://connectrpc.com/docs/protocol."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable

import grpc
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from askback.web.connect_errors import ConnectError, from_refusal, from_rpc
from askback.web.gateway import Gateway
from askback.web.proto_json import BadJson, format_message, parse
from askback.web.refused import Refused
from askback.web.requests import JSON, method_of, read_body, timeout_of, wait_for_disconnect
from askback.web.upstream import REQUEST_ID, Reply, new_request_id

_PASSED_ON = re.compile(r"askback-[a-z0-9-]+")
"""Metadata of the service that becomes headers. Other names could have a meaning in HTTP."""


class Unary:
    """Handles `/askback.v1.Service/Method`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def handle(self, request: Request) -> Response:
        """The reply to a request. Raises ClientDisconnect if its sender has gone."""
        request_id, began, code = new_request_id(), time.monotonic(), grpc.StatusCode.INTERNAL
        try:
            reply = await self._reply(request, request_id)
        except ConnectError as error:
            code = error.code
            response = error.response()
        except ClientDisconnect:
            code = grpc.StatusCode.CANCELLED
            raise
        else:
            code = grpc.StatusCode.OK
            response = Response(format_message(reply.message), 200, {"cache-control": "no-store"}, JSON)
            _pass_on(response, reply.initial, "")
            _pass_on(response, reply.trailing, "trailer-")
        finally:
            self._gateway.counts.count_call(request.url.path, code, began)
        response.headers[REQUEST_ID] = request_id
        return response

    async def _reply(self, request: Request, request_id: str) -> Reply:
        method, limits = method_of(request), self._gateway.limits
        try:
            caller = self._gateway.callers.of_request(request)
            seconds = timeout_of(request, limits)
            message = parse(await read_body(request, limits), method.request(), limits)
            with self._gateway.upstream.shared() as channel:
                call = self._gateway.upstream.start(channel, method, message, caller, request_id, seconds)
                return await _finish(call, request)
        except Refused as refused:
            raise from_refusal(refused) from None
        except BadJson as error:
            text = f"the body is no {method.request.DESCRIPTOR.name}: {error}"
            raise ConnectError(grpc.StatusCode.INVALID_ARGUMENT, text, reason="BAD_JSON") from None
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None


async def _finish(call: grpc.aio.UnaryUnaryCall, request: Request) -> Reply:  # type: ignore[type-arg]
    """Wait for the reply. A caller that goes away cancels the call: a lease must not go to no one.

    Raises AioRpcError, ClientDisconnect.
    """
    reply = asyncio.ensure_future(call)
    gone = asyncio.ensure_future(wait_for_disconnect(request))
    try:
        await asyncio.wait((reply, gone), return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            raise ClientDisconnect
        message = await reply
        return Reply(message, await call.initial_metadata(), await call.trailing_metadata())
    finally:
        gone.cancel()
        call.cancel()


def _pass_on(response: Response, metadata: Iterable[tuple[str, str | bytes]], prefix: str) -> None:
    for key, value in metadata:
        if isinstance(value, str) and _PASSED_ON.fullmatch(key):
            response.headers[prefix + key] = value
