"""Wraps every call: authentication, request id, stream limits, errors, and one log line.

One interceptor does it for the four kinds of RPC, and for stream handlers that are coroutines
(`context.read` and `context.write`) as well as for async generators. A handler is wrapped once per method,
not per call, to keep unary calls cheap.

A call is authenticated by its metadata before its first message is requested: grpc.aio receives the message
of a unary call before it calls the handler, so a rejected caller gets a handler that receives none. Requests
stay bytes until the wrapped handler parses them, so that malformed bytes are an error like any other.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from askback_server.domain.errors import AskbackError, InvalidField, UnknownMethod
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.transport.call_context import CURRENT, CallContext, Context
from askback_server.transport.call_ends import (
    REQUEST_ID,
    Arrival,
    LogQuota,
    end_call,
    logs_calls,
    note_call,
    request_id_of,
    status_of,
)
from askback_server.transport.certificates import CertificateNames, certificate_names, no_certificate
from askback_server.transport.errors import abort
from askback_server.transport.field_limits import check_fields
from askback_server.transport.open_calls import OpenCall, OpenCalls, StreamContext
from askback_server.transport.served_calls import ServedCalls
from askback_server.transport.tokens import Authenticator, Credentials, Metadata

_PUBLIC = {"/grpc.health.v1.Health/": "health", "/grpc.reflection.": "reflection"}
_WAITING = frozenset({"/askback.v1.WorkerService/LeaseJobs", "/askback.v1.WorkerService/AwaitPrompt"})
"""Unary calls that may wait. While they wait they count as streams."""
MAX_REFUSAL_LINES = 20
"""Log lines per second for calls that are rejected before a message is received. All of them are counted."""

# Requests, responses and handlers are Any below: the interceptor wraps the methods of all services.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_ARRIVAL: ContextVar[Arrival] = ContextVar("askback_arrival")
"""Set in the task of the call, which runs the interceptor and then the handler. Reading the metadata from the
context again would copy all of it."""


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """The service's only interceptor.

    Successful unary calls are logged (`askback.server.calls`) at `unary_level`, internal errors at ERROR, and
    all other calls at INFO. The health and reflection services of grpc need no token. With `certificates`
    a client certificate can authenticate a caller.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        limits: Limits,
        *,
        unary_level: int = logging.DEBUG,
        certificates: bool = False,
    ) -> None:
        self.streams = OpenCalls(limits, authenticator.generation)
        self.ended: Counter[tuple[str, str]] = Counter()
        """Number of ended calls by method and code."""
        self.certificates = certificates
        self._limits = limits
        self._authenticator = authenticator
        self._unary_level = unary_level
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}
        self._served = ServedCalls(limits)
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(6)
        self._refused_lines = LogQuota(MAX_REFUSAL_LINES)
        self._refusal = grpc.stream_stream_rpc_method_handler(self._refuse)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The wrapped handler of the method. For an unknown method one that replies UNIMPLEMENTED."""
        started = perf_counter()
        handler = await continuation(handler_call_details)
        method, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        if handler is None:
            return _UNKNOWN
        wrapped = self._wrapped.get(method)
        if wrapped is None or wrapped[0] is not handler:
            wrapped = self._wrapped[method] = (handler, self._wrap(method, handler))
        principal = None
        try:
            if not _public_service(method):
                principal = self._authenticate(metadata, None)
                if principal is not None and not handler.response_streaming and method not in _WAITING:
                    self._served.check(method, principal.subject)
        except AskbackError as error:
            _ARRIVAL.set(Arrival(method, metadata, started, error=error))
            return self._refusal
        _ARRIVAL.set(Arrival(method, metadata, started, principal))
        return wrapped[1]

    def _authenticate(self, metadata: Metadata, context: Context | None) -> Principal | None:
        """The caller. None if its certificate is needed and `context` is None. Raises Unauthenticated."""
        if not self.certificates:
            return self._authenticator.authenticate(metadata, no_certificate)
        if context is None:
            return None
        return self._authenticator.authenticate(metadata, self._names(context))

    async def _refuse(self, _: object, context: Context) -> None:
        """End a call that was rejected because of its metadata, without receiving a message."""
        arrival = _ARRIVAL.get()
        assert arrival.error is not None
        request_id = request_id_of(arrival.metadata) or self._new_id()
        quiet = not self._refused_lines.take()
        await end_call(arrival.error, context, arrival, request_id, None, None, self.ended, quiet=quiet)

    def _wrap(self, method: str, handler: Handler) -> Handler:
        parse: Callable[[bytes], Any] = partial(_parse, handler.request_deserializer)
        outward = handler.response_serializer
        if handler.request_streaming and handler.response_streaming:
            stream = self._stream(method, handler.stream_stream, None)
            return grpc.stream_stream_rpc_method_handler(stream, parse, outward)
        if handler.request_streaming:
            stream = self._stream(method, handler.stream_unary, None)
            return grpc.stream_unary_rpc_method_handler(stream, parse, outward)
        if handler.response_streaming:
            stream = self._stream(method, handler.unary_stream, parse)
            return grpc.unary_stream_rpc_method_handler(stream, None, outward)
        unary = self._unary(method, handler.unary_unary, parse)
        return grpc.unary_unary_rpc_method_handler(unary, None, outward)

    def _unary(self, method: str, behaviour: Any, parse: Callable[[bytes], Any]) -> Any:
        level = self._unary_level
        ok = (method, grpc.StatusCode.OK.name)
        may_wait = method in _WAITING
        needs_caller = not _public_service(method)

        async def unary(data: bytes, context: Context) -> Any:
            call: CallContext | None = None
            request: Any = None
            arrival = _ARRIVAL.get()
            principal = arrival.principal
            request_id = request_id_of(arrival.metadata)
            if request_id:
                context.set_trailing_metadata(((REQUEST_ID, request_id),))
            else:
                request_id = self._new_id()
            try:
                if needs_caller:
                    principal = principal or self._authenticate(arrival.metadata, context)
                    assert principal is not None
                    call = CallContext(method, request_id, principal)
                    CURRENT.set(call)
                    request = parse(data)
                    check_fields(request, self._limits)
                    if may_wait and _waits(request):
                        response = await self._waiting(behaviour, request, context, call, arrival)
                    else:
                        with self._served.serving(principal.subject):
                            response = await behaviour(request, context)
                else:
                    request = parse(data)
                    response = await behaviour(request, context)
            except (Exception, asyncio.CancelledError) as error:
                await end_call(error, context, arrival, request_id, call, request, self.ended)
                raise
            self.ended[ok] += 1
            if logs_calls(level):
                note_call(level, arrival, status_of(context), request_id, call, request)
            return response

        return unary

    async def _waiting(
        self, behaviour: Any, request: Any, context: Context, call: CallContext, arrival: Arrival
    ) -> Any:
        """Serve a unary call that waits. It counts as a stream, and ends when its caller loses access."""
        with closing(self._open(call.principal, arrival, context)) as opened:
            call.access = opened.access
            try:
                return await behaviour(request, context)
            except asyncio.CancelledError:
                if opened.was_ended:
                    raise opened.error from None  # type: ignore[misc]
                raise

    def _open(self, principal: Principal, arrival: Arrival, context: Context) -> OpenCall:
        """Count a call that stays open. Its caller is authenticated again from time to time."""
        authenticate = partial(self._authenticator.authenticate, arrival.metadata, self._names(context))
        expires = self.credentials(context).expires
        return self.streams.open(principal, arrival.method, authenticate, expires)

    def credentials(self, context: Context) -> Credentials:
        """The credentials of the current call. Raises Unauthenticated."""
        return self._authenticator.credentials(_ARRIVAL.get().metadata, self._names(context))

    def _names(self, context: Context) -> CertificateNames:
        return partial(certificate_names, context) if self.certificates else no_certificate

    def _stream(self, method: str, behaviour: Any, parse: Callable[[bytes], Any] | None) -> Any:
        service = _public_service(method)

        async def stream(data: Any, context: Context) -> Any:
            call: CallContext | None = None
            request: Any = None
            opened: OpenCall | None = None
            arrival = _ARRIVAL.get()
            request_id = request_id_of(arrival.metadata) or self._new_id()
            try:
                if service:
                    opened = self.streams.open_public(service, method, context.peer())
                else:
                    principal = arrival.principal or self._authenticate(arrival.metadata, context)
                    assert principal is not None
                    call = CallContext(method, request_id, principal)
                    CURRENT.set(call)
                    opened = self._open(principal, arrival, context)
                    call.access = opened.access
                request = data if parse is None else parse(data)
                del data
                if parse is not None and call is not None:  # client streams check what they read
                    check_fields(request, self._limits)
                await context.send_initial_metadata(((REQUEST_ID, request_id),))
                watched = StreamContext(context, opened)
                started = behaviour(request, watched)
                if hasattr(started, "__aiter__"):
                    started = _write_all(started, watched)
                response = await started
            except (Exception, asyncio.CancelledError) as raised:
                # Before it is closed: the stream counts until its client has received the status.
                urgent = opened is not None and opened.is_urgent
                await end_call(
                    _reason(raised, opened),
                    context,
                    arrival,
                    request_id,
                    call,
                    request,
                    self.ended,
                    urgent=urgent,
                )
                raise
            finally:
                if opened is not None:
                    opened.close()
            code = status_of(context)
            self.ended[method, code.name] += 1
            note_call(logging.INFO, arrival, code, request_id, call, request)
            return response

        return stream

    def _new_id(self) -> str:
        return f"{self._prefix}-{next(self._numbers):x}"


async def _refuse_unknown(_: object, context: Context) -> None:
    """End a call of an unknown method. These are not counted: the number of names is unbounded."""
    await abort(context, UnknownMethod())


_UNKNOWN: Handler = grpc.stream_stream_rpc_method_handler(_refuse_unknown)


async def _write_all(messages: Any, context: StreamContext) -> None:
    """Write the messages of a handler that is a generator; one that is a coroutine writes its own."""
    async with aclosing(messages):
        async for message in messages:
            await context.write(message)


def _reason(raised: BaseException, opened: OpenCall | None) -> BaseException:
    """Why a stream ends: its handler's error, or the error with which the server ended it.

    A function, because a variable of the handler would be a cycle: the error's traceback holds its frame.
    """
    if opened is not None and isinstance(raised, asyncio.CancelledError) and opened.was_ended:
        return opened.error or raised
    return raised


def _public_service(method: str) -> str:
    """`health` or `reflection` for a method that needs no token; else empty."""
    return next((name for prefix, name in _PUBLIC.items() if method.startswith(prefix)), "")


def _parse(deserialize: Any, data: bytes) -> Any:
    """A request from its bytes. Raises InvalidField if they are malformed."""
    try:
        return deserialize(data)
    except DecodeError:
        text = "its bytes are not a message of this method; generate the client from this server's contract"
        raise InvalidField.of("request", text) from None


def _waits(request: Any) -> bool:
    """Whether a long poll asks to wait."""
    return bool(request.HasField("wait") and (request.wait.seconds > 0 or request.wait.nanos > 0))
