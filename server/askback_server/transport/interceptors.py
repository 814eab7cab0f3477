"""What every call goes through: authentication, a request id, stream limits, errors, one line of log.

One interceptor does it all, for the four kinds of RPC, and for stream handlers that are coroutines
(`context.read` and `context.write`) as well as for async generators. Unary calls pay the least: a
method's handler is wrapped once, not per call.

A call is authenticated by its metadata before its first message is asked for: grpc.aio receives the message
of a unary handler before it calls it, so a caller that is refused gets a handler that receives none. What is
received stays bytes until the handler parses it, so that malformed bytes are an error like every other.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, aclosing
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from askback_server.domain.errors import AskbackError, InvalidField, UnknownMethod
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.transport.call_context import CURRENT, CallContext
from askback_server.transport.call_ends import (
    REQUEST_ID,
    Arrival,
    Context,
    LogQuota,
    end_call,
    logs_calls,
    note_call,
    sent_id,
    status_of,
)
from askback_server.transport.certificates import CertificateNames, certificate_names, no_certificate
from askback_server.transport.errors import abort
from askback_server.transport.field_limits import check_fields
from askback_server.transport.open_calls import OpenCall, OpenCalls, StreamContext
from askback_server.transport.served_calls import ServedCalls
from askback_server.transport.tokens import Authenticator, Credentials, Metadata

_OPEN_TO_ALL = {"/grpc.health.v1.Health/": "health", "/grpc.reflection.": "reflection"}
_WAITING = frozenset({"/askback.v1.WorkerService/LeaseJobs", "/askback.v1.WorkerService/AwaitPrompt"})
"""Unary calls that count as streams while they wait."""
REFUSED_LINES = 20
"""Log lines a second for calls that are refused before a message of theirs is received. All are counted."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


_ARRIVAL: ContextVar[Arrival] = ContextVar("askback_arrival")
"""A call is handled in the task that intercepts it; asking its context again would copy all metadata."""


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """The service's only interceptor.

    The log (`askback.server.calls`) has unary calls that are OK at `unary_level`, all others at INFO or, if
    the fault is ours, ERROR. grpc's own health and reflection services need no token, and are limited and
    answered like the others. `certificates`: callers may be known by a client certificate.
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
        """Calls that have ended, by method and code."""
        self.certificates = certificates
        self._limits = limits
        self._authenticator = authenticator
        self._unary_level = unary_level
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}
        self._served = ServedCalls(limits)
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(6)
        self._refused_lines = LogQuota(REFUSED_LINES)
        self._refusal = grpc.stream_stream_rpc_method_handler(self._refuse)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's handler, wrapped; for a method that does not exist one that says so."""
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
            if not _open_service(method):
                principal = self._authenticate(metadata, None)
                if principal is not None and not handler.response_streaming and method not in _WAITING:
                    self._served.check(method, principal.subject)
        except AskbackError as error:
            _ARRIVAL.set(Arrival(method, metadata, started, error=error))
            return self._refusal
        _ARRIVAL.set(Arrival(method, metadata, started, principal))
        return wrapped[1]

    def _authenticate(self, metadata: Metadata, context: Context | None) -> Principal | None:
        """Who calls. Without a context None if the certificate must be asked. Raises Unauthenticated."""
        if not self.certificates:
            return self._authenticator.authenticate(metadata, no_certificate)
        if context is None:
            return None
        return self._authenticator.authenticate(metadata, self._names(context))

    async def _refuse(self, _: Any, context: Context) -> None:
        """The handler of a call that is refused by its metadata: no message of it is received."""
        arrival = _ARRIVAL.get()
        assert arrival.error is not None
        request_id = sent_id(arrival.metadata) or self._new_id()
        quiet = not self._refused_lines.take()
        await end_call(arrival.error, context, arrival, request_id, None, None, self.ended, quiet=quiet)

    def _wrap(self, method: str, handler: Handler) -> Handler:
        parse: Callable[[bytes], Any] = partial(_parsed, handler.request_deserializer)
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
        waits = method in _WAITING
        needs_caller = not _open_service(method)

        async def unary(data: bytes, context: Context) -> Any:
            call: CallContext | None = None
            request: Any = None
            arrival = _ARRIVAL.get()
            principal = arrival.principal
            request_id = sent_id(arrival.metadata)
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
                    if waits and _wait(request):
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
        """A unary call that waits: it counts as a stream, and ends when its caller is no longer welcome."""
        again, expires = self._credentials(arrival, context)
        with self.streams.one(call.principal, arrival.method, again, expires) as opened:
            call.access = opened.access
            try:
                return await behaviour(request, context)
            except asyncio.CancelledError:
                if opened.was_ended:
                    raise opened.error from None  # type: ignore[misc]
                raise

    def _credentials(self, arrival: Arrival, context: Context) -> tuple[Callable[[], Principal], Any]:
        """What asks again who the caller is, and when its credentials expire."""
        again = partial(self._authenticator.authenticate, arrival.metadata, self._names(context))
        return again, self.credentials(context).expires

    def credentials(self, context: Context) -> Credentials:
        """What the caller of the call that is being served showed. Raises Unauthenticated."""
        return self._authenticator.credentials(_ARRIVAL.get().metadata, self._names(context))

    def _names(self, context: Context) -> CertificateNames:
        return partial(certificate_names, context) if self.certificates else no_certificate

    def _stream(self, method: str, behaviour: Any, parse: Callable[[bytes], Any] | None) -> Any:
        service = _open_service(method)

        async def stream(data: Any, context: Context) -> Any:
            call: CallContext | None = None
            request: Any = None
            opened: OpenCall | None = None
            arrival = _ARRIVAL.get()
            request_id = sent_id(arrival.metadata) or self._new_id()
            with ExitStack() as stack:
                try:
                    if service:
                        opening = self.streams.unauthenticated(service, method, context.peer())
                    else:
                        principal = arrival.principal or self._authenticate(arrival.metadata, context)
                        assert principal is not None
                        call = CallContext(method, request_id, principal)
                        CURRENT.set(call)
                        opening = self.streams.one(principal, method, *self._credentials(arrival, context))
                    opened = stack.enter_context(opening)
                    if call is not None:
                        call.access = opened.access
                    request = data if parse is None else parse(data)
                    del data
                    if parse is not None and call is not None:  # a stream's own are checked as they are read
                        check_fields(request, self._limits)
                    await context.send_initial_metadata(((REQUEST_ID, request_id),))
                    watched: Any = StreamContext(context, opened)
                    response = await _run(behaviour(request, watched), watched)
                except (Exception, asyncio.CancelledError) as raised:
                    # Within the stack: a stream counts until its client has heard why it ended.
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
            code = status_of(context)
            self.ended[method, code.name] += 1
            note_call(logging.INFO, arrival, code, request_id, call, request)
            return response

        return stream

    def _new_id(self) -> str:
        return f"{self._prefix}-{next(self._numbers):x}"


async def _refuse_unknown(_: Any, context: Context) -> None:
    """Handles a call of a method that does not exist. Such calls are not counted: there are endless names."""
    await abort(context, UnknownMethod())


_UNKNOWN: Handler = grpc.stream_stream_rpc_method_handler(_refuse_unknown)


async def _run(started: Any, context: Context) -> Any:
    """A stream handler to its end: a generator's messages are written here, a coroutine writes its own."""
    if not hasattr(started, "__aiter__"):
        return await started
    async with aclosing(started):
        async for message in started:
            await context.write(message)
    return None


def _reason(raised: BaseException, opened: OpenCall | None) -> BaseException:
    """Why a stream ends: what its handler raised, or what the server ended it with.

    Not kept in a variable of the handler: the error's traceback holds the handler's frame.
    """
    if opened is not None and isinstance(raised, asyncio.CancelledError) and opened.was_ended:
        return opened.error or raised
    return raised


def _open_service(method: str) -> str:
    """`health` or `reflection` for a method that needs no caller; else empty."""
    return next((name for prefix, name in _OPEN_TO_ALL.items() if method.startswith(prefix)), "")


def _parsed(parse: Any, data: bytes) -> Any:
    """A request from its bytes. Raises InvalidField for bytes that are none."""
    try:
        return parse(data)
    except DecodeError:
        text = "its bytes are not a message of this method; generate the client from this server's contract"
        raise InvalidField.of("request", text) from None


def _wait(request: Any) -> bool:
    """Whether a long poll is to wait at all."""
    return bool(request.HasField("wait") and (request.wait.seconds > 0 or request.wait.nanos > 0))
