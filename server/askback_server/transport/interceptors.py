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
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from time import monotonic, perf_counter
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from askback_server.domain.errors import AskbackError, InvalidField, LimitExceeded, UnknownMethod
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.transport.acceptor import RESET
from askback_server.transport.calls import CURRENT, Call
from askback_server.transport.certificates import certificate_names, no_certificate
from askback_server.transport.errors import abort, code_of, known
from askback_server.transport.field_limits import check_fields
from askback_server.transport.open_calls import OpenCall, OpenCalls, StreamContext
from askback_server.transport.tokens import Authenticator, Metadata

REQUEST_ID = "askback-request-id"
"""Metadata of a request, and of its answer: the initial of a stream, the trailing of a unary call that
fails, and of one that does not only if its caller sent an id (metadata costs both sides some 10 µs)."""

_OPEN_TO_ALL = {"/grpc.health.v1.Health/": "health", "/grpc.reflection.": "reflection"}
_WAITING = frozenset({"/askback.v1.WorkerService/LeaseJobs", "/askback.v1.WorkerService/AwaitPrompt"})
"""Unary calls that count as streams while they wait."""
_RESERVED = frozenset(
    {
        "/askback.v1.HitlService/AnswerPrompt",
        "/askback.v1.WorkerService/AcknowledgePrompts",
        "/askback.v1.WorkerService/CompleteJob",
        "/askback.v1.WorkerService/ExtendLease",
        "/askback.v1.WorkerService/FailJob",
        "/askback.v1.WorkerService/ReleaseJob",
        "/askback.v1.WorkerService/SaveCheckpoint",
    }
)
"""Unary calls that are served however many others there are: a person's answer, and what keeps or ends a
lease."""
FAREWELL = 5.0
"""Seconds that a client has for reading why its call has ended, before the call is reset."""
REFUSED_LINES = 20
"""Log lines a second for calls that are refused before a message of theirs is received. All are counted."""
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}\Z")

_log = logging.getLogger("askback.calls")

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What is known of a call before its handler runs."""

    method: str
    metadata: Metadata
    started: float
    principal: Principal | None = None
    """None: only the context knows the caller's certificate, or the method needs no caller."""
    error: AskbackError | None = None


_ARRIVAL: ContextVar[_Arrival] = ContextVar("askback_arrival")
"""A call is handled in the task that intercepts it; asking its context again would copy all metadata."""


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """The service's only interceptor.

    The log (`askback.calls`) has unary calls that are OK at `unary_level`, all others at INFO or, if
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
        self._calls: Counter[str] = Counter()
        """Unary calls that are served now, by subject."""
        self._served = 0
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(6)
        self._refused_lines = _Quota(REFUSED_LINES)
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
            return _unknown(method)
        wrapped = self._wrapped.get(method)
        if wrapped is None or wrapped[0] is not handler:
            wrapped = self._wrapped[method] = (handler, self._wrap(method, handler))
        principal = None
        try:
            if not _open_service(method):
                principal = self._authenticate(metadata, None)
                self._admit(method, handler, principal)
        except AskbackError as error:
            _ARRIVAL.set(_Arrival(method, metadata, started, error=error))
            return self._refusal
        _ARRIVAL.set(_Arrival(method, metadata, started, principal))
        return wrapped[1]

    def _authenticate(self, metadata: Metadata, context: Context | None) -> Principal | None:
        """Who calls. Without a context None if the certificate must be asked. Raises Unauthenticated."""
        if not self.certificates:
            return self._authenticator.authenticate(metadata, no_certificate)
        if context is None:
            return None
        return self._authenticator.authenticate(metadata, partial(certificate_names, context))

    def _admit(self, method: str, handler: Handler, principal: Principal | None) -> None:
        """Raise LimitExceeded for a unary call that is one too many."""
        if principal is None or handler.response_streaming or method in _RESERVED or method in _WAITING:
            return
        limits = self._limits
        if self._served >= limits.calls:
            text, name = "this replica serves as many calls as it can", "calls"
        elif self._calls[principal.subject] >= limits.calls_per_principal:
            text, name = "you have as many calls at once as one principal may", "calls_per_principal"
        else:
            return
        value = getattr(limits, name)
        raise LimitExceeded(f"{text}; send it again a little later", limit=name, value=value, retry_after=0.5)

    async def _refuse(self, _: Any, context: Context) -> None:
        """The handler of a call that is refused by its metadata: no message of it is received."""
        arrival = _ARRIVAL.get()
        assert arrival.error is not None
        request_id = _sent_id(arrival.metadata) or self._new_id()
        quiet = not self._refused_lines.take()
        await _end(arrival.error, context, arrival, request_id, None, None, self.ended, quiet=quiet)

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
            call: Call | None = None
            request: Any = None
            arrival = _ARRIVAL.get()
            principal = arrival.principal
            request_id = _sent_id(arrival.metadata)
            if request_id:
                context.set_trailing_metadata(((REQUEST_ID, request_id),))
            else:
                request_id = self._new_id()
            try:
                if needs_caller:
                    principal = principal or self._authenticate(arrival.metadata, context)
                    assert principal is not None
                    call = Call(method, request_id, principal)
                    CURRENT.set(call)
                    request = parse(data)
                    check_fields(request, self._limits)
                    if waits and _wait(request):
                        response = await self._waiting(behaviour, request, context, call, arrival)
                    else:
                        with self._serving(principal.subject):
                            response = await behaviour(request, context)
                else:
                    request = parse(data)
                    response = await behaviour(request, context)
            except (Exception, asyncio.CancelledError) as error:
                await _end(error, context, arrival, request_id, call, request, self.ended)
                raise
            self.ended[ok] += 1
            if _log.isEnabledFor(level):
                _note(level, arrival, _code(context), request_id, call, request)
            return response

        return unary

    @contextmanager
    def _serving(self, subject: str) -> Iterator[None]:
        self._served += 1
        self._calls[subject] += 1
        try:
            yield
        finally:
            self._served -= 1
            self._calls[subject] -= 1
            if not self._calls[subject]:
                del self._calls[subject]

    async def _waiting(
        self, behaviour: Any, request: Any, context: Context, call: Call, arrival: _Arrival
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

    def _credentials(self, arrival: _Arrival, context: Context) -> tuple[Callable[[], Principal], Any]:
        """What asks again who the caller is, and when its credentials expire."""
        names = partial(certificate_names, context) if self.certificates else no_certificate
        again = partial(self._authenticator.authenticate, arrival.metadata, names)
        return again, self._authenticator.expires(arrival.metadata, names)

    def _stream(self, method: str, behaviour: Any, parse: Callable[[bytes], Any] | None) -> Any:
        service = _open_service(method)

        async def stream(data: Any, context: Context) -> Any:
            call: Call | None = None
            request: Any = None
            opened: OpenCall | None = None
            arrival = _ARRIVAL.get()
            request_id = _sent_id(arrival.metadata) or self._new_id()
            with ExitStack() as stack:
                try:
                    if service:
                        opening = self.streams.unauthenticated(service, method, context.peer())
                    else:
                        principal = arrival.principal or self._authenticate(arrival.metadata, context)
                        assert principal is not None
                        call = Call(method, request_id, principal)
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
                    error: BaseException = raised
                    if opened is not None and isinstance(raised, asyncio.CancelledError) and opened.was_ended:
                        error = opened.error or raised
                    # Within the stack: a stream counts until its client has heard why it ended.
                    urgent = opened is not None and opened.is_urgent
                    await _end(error, context, arrival, request_id, call, request, self.ended, urgent=urgent)
                    raise
            code = _code(context)
            self.ended[method, code.name] += 1
            _note(logging.INFO, arrival, code, request_id, call, request)
            return response

        return stream

    def _new_id(self) -> str:
        return f"{self._prefix}-{next(self._numbers):x}"


def _unknown(method: str) -> Handler:
    """Refuses a call of any kind. It is neither kept nor counted: there are endless names."""

    async def refuse(_: Any, context: Context) -> None:
        await abort(context, UnknownMethod(method))

    return grpc.stream_stream_rpc_method_handler(refuse)


def _sent_id(metadata: Metadata) -> str:
    """The caller's own request id; empty if there is none, or one that makes no sense."""
    for key, value in metadata:
        if key == REQUEST_ID:
            return value if isinstance(value, str) and _SANE_REQUEST_ID.match(value) else ""
    return ""


async def _run(started: Any, context: Context) -> Any:
    """A stream handler to its end: a generator's messages are written here, a coroutine writes its own."""
    if not hasattr(started, "__aiter__"):
        return await started
    async with aclosing(started):
        async for message in started:
            await context.write(message)
    return None


async def _end(
    raised: BaseException,
    context: Context,
    arrival: _Arrival,
    request_id: str,
    call: Call | None,
    request: Any,
    ended: Counter[tuple[str, str]],
    *,
    quiet: bool = False,
    urgent: bool = False,
) -> None:
    """Count a call that failed, write its line, and send its status. Returns, for the error to be raised on,
    only where grpc itself handles it."""
    error = _leaf(raised)
    if _is_grpcs_own(error):
        code = _code(context) if isinstance(error, grpc.aio.AbortError) else grpc.StatusCode.CANCELLED
        ended[arrival.method, code.name] += 1
        _note(logging.INFO, arrival, code, request_id, call, request)
        if not isinstance(error, grpc.aio.AbortError):
            # The peer is gone. As a failed batch grpc would log it with a traceback.
            raise asyncio.CancelledError from None
        if error is not raised:
            raise error from None
        return
    shown = known(error)
    code = code_of(shown)
    ended[arrival.method, code.name] += 1
    level = logging.ERROR if code is grpc.StatusCode.INTERNAL else logging.INFO
    if not quiet:
        _note(level, arrival, code, request_id, call, request, shown.reason)
    try:
        # A client that does not read does not read its status, and what it was sent stays in memory.
        async with asyncio.timeout(0.0 if urgent else FAREWELL):
            await abort(context, shown, (REQUEST_ID, request_id))
    except TimeoutError:
        RESET.get(_cannot_reset)()
        raise asyncio.CancelledError from None
    except grpc.aio.AbortError:
        raise
    except grpc.aio.BaseError:
        raise asyncio.CancelledError from None  # the peer is gone


def _cannot_reset() -> None:
    """With an accept loop of grpcio's own."""


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


class _Quota:
    """So many log lines a second: callers that nobody knows must not fill the disk."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._second = 0
        self._used = 0

    def take(self) -> bool:
        """Whether one more line may be written now."""
        second = int(monotonic())
        if second != self._second:
            self._second, self._used = second, 0
        self._used += 1
        return self._used <= self._lines


def _leaf(error: BaseException) -> BaseException:
    """The error itself, or the one that a group of a task group's errors stands for."""
    while isinstance(error, BaseExceptionGroup):
        ours, _ = error.split(AskbackError)
        error = (ours or error).exceptions[0]
    return error


def _is_grpcs_own(error: BaseException) -> bool:
    """A real cancel, an abort, or a peer that is gone.

    A CancelledError that leaked out of the handler without a cancel of the call is none of these:
    raised on, it would end the call without a status, and its caller would wait for ever.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, grpc.aio.BaseError) and not isinstance(error, grpc.aio.UsageError)


def _code(context: Context) -> grpc.StatusCode:
    code: grpc.StatusCode | None = context.code()  # None until a handler sets one
    return grpc.StatusCode.OK if code is None else code


def _note(
    level: int,
    arrival: _Arrival,
    code: grpc.StatusCode,
    request_id: str,
    call: Call | None,
    request: Any,
    reason: str = "",
) -> None:
    """One line about a call: names and numbers, never content."""
    if not _log.isEnabledFor(level):
        return
    fields = {
        "method": arrival.method,
        "code": code.name,
        "duration_ms": round((perf_counter() - arrival.started) * 1000, 3),
        "request_id": request_id,
        "subject": call.principal.subject if call is not None else "",
    }
    if reason:
        fields["reason"] = reason
    job = getattr(request, "job_id", "") or getattr(getattr(request, "job", None), "job_id", "")
    if job:
        fields["job_id"] = job[:64]
    if prompt := getattr(request, "prompt_id", ""):
        fields["prompt_id"] = prompt[:64]
    _log.log(level, "%s %s", arrival.method, code.name, extra=fields)
