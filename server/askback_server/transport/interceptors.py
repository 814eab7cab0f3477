"""What every call goes through: authentication, a request id, stream limits, errors, one line of log.

One interceptor does it all, for the four kinds of RPC, and for stream handlers that are coroutines
(`context.read` and `context.write`) as well as for async generators. Unary calls pay the least: a
method's handler is wrapped once, not per call.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from askback_server.domain.errors import AskbackError, LimitExceeded, UnknownMethod
from askback_server.domain.limits import Limits
from askback_server.transport.calls import CURRENT, Call
from askback_server.transport.certificates import certificate_names
from askback_server.transport.errors import abort, code_of, known
from askback_server.transport.field_limits import check_fields
from askback_server.transport.tokens import Authenticator, Metadata

REQUEST_ID = "askback-request-id"
"""Metadata of a request, and of its answer: the initial of a stream, the trailing of a unary call that
fails, and of one that does not only if its caller sent an id (metadata costs both sides some 10 µs)."""

_OPEN_TO_ALL = ("/grpc.health.v1.Health/", "/grpc.reflection.")
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}\Z")

_METADATA: ContextVar[Metadata] = ContextVar("askback_metadata")

_log = logging.getLogger("askback.calls")

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class OpenStreams:
    """Counts the streams that are open, and refuses those that are too many."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_subject: Counter[str] = Counter()
        self.by_method: Counter[str] = Counter()
        self.total = 0

    @contextmanager
    def one(self, subject: str, method: str) -> Iterator[None]:
        """One stream of a principal, while it is open. Raises LimitExceeded."""
        if self.total >= self._limits.streams:
            text = "this replica has too many open streams; try another one, or later"
            raise LimitExceeded(text, limit="streams", value=self._limits.streams)
        if self._by_subject[subject] >= self._limits.streams_per_principal:
            text = "you have too many open streams; close some first"
            raise LimitExceeded(text, limit="streams_per_principal", value=self._limits.streams_per_principal)
        self.total += 1
        self.by_method[method] += 1
        self._by_subject[subject] += 1
        try:
            yield
        finally:
            self.total -= 1
            self.by_method[method] -= 1
            self._by_subject[subject] -= 1
            if not self._by_subject[subject]:
                del self._by_subject[subject]


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """The service's only interceptor.

    The log (`askback.calls`) has unary calls that are OK at `unary_level`, all others at INFO or, if
    the fault is ours, ERROR. grpc's own health and reflection services are left alone.
    """

    def __init__(
        self, authenticator: Authenticator, limits: Limits, *, unary_level: int = logging.DEBUG
    ) -> None:
        self.streams = OpenStreams(limits)
        self._limits = limits
        self.ended: Counter[tuple[str, str]] = Counter()
        """Calls that have ended, by method and code."""
        self._authenticator = authenticator
        self._unary_level = unary_level
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(6)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's handler, wrapped; for a method that does not exist one that says so."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return _unknown(method)
        if method.startswith(_OPEN_TO_ALL):
            return handler
        # The call is handled in this same task; asking its context again would copy all metadata.
        _METADATA.set(handler_call_details.invocation_metadata)
        wrapped = self._wrapped.get(method)
        if wrapped is None or wrapped[0] is not handler:
            wrapped = self._wrapped[method] = (handler, self._wrap(method, handler))
        return wrapped[1]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        inward, outward = handler.request_deserializer, handler.response_serializer
        if handler.request_streaming and handler.response_streaming:
            stream = self._stream(method, handler.stream_stream)
            return grpc.stream_stream_rpc_method_handler(stream, inward, outward)
        if handler.request_streaming:
            stream = self._stream(method, handler.stream_unary)
            return grpc.stream_unary_rpc_method_handler(stream, inward, outward)
        if handler.response_streaming:
            stream = self._stream(method, handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(stream, inward, outward)
        unary = self._unary(method, handler.unary_unary)
        return grpc.unary_unary_rpc_method_handler(unary, inward, outward)

    def _unary(self, method: str, behaviour: Any) -> Any:
        level = self._unary_level
        ok = (method, grpc.StatusCode.OK.name)

        async def unary(request: Any, context: Context) -> Any:
            started = perf_counter()
            call: Call | None = None
            metadata = _METADATA.get()
            request_id = _sent_id(metadata)
            if request_id:
                context.set_trailing_metadata(((REQUEST_ID, request_id),))
            else:
                request_id = self._new_id()
            try:
                principal = self._authenticator.authenticate(metadata, partial(certificate_names, context))
                call = Call(method, request_id, principal)
                CURRENT.set(call)
                check_fields(request, self._limits)
                response = await behaviour(request, context)
            except (Exception, asyncio.CancelledError) as error:
                await _end(error, context, method, started, request_id, call, request, self.ended)
                raise
            self.ended[ok] += 1
            if _log.isEnabledFor(level):
                _note(level, method, _code(context), started, request_id, call, request)
            return response

        return unary

    def _stream(self, method: str, behaviour: Any) -> Any:
        async def stream(request: Any, context: Context) -> Any:
            started = perf_counter()
            call: Call | None = None
            metadata = _METADATA.get()
            request_id = _sent_id(metadata) or self._new_id()
            try:
                principal = self._authenticator.authenticate(metadata, partial(certificate_names, context))
                call = Call(method, request_id, principal)
                CURRENT.set(call)
                if isinstance(request, Message):  # a stream's own messages are checked as they are read
                    check_fields(request, self._limits)
                with self.streams.one(principal.subject, method):
                    await context.send_initial_metadata(((REQUEST_ID, request_id),))
                    response = await _run(behaviour(request, context), context)
            except (Exception, asyncio.CancelledError) as error:
                await _end(error, context, method, started, request_id, call, request, self.ended)
                raise
            code = _code(context)
            self.ended[method, code.name] += 1
            _note(logging.INFO, method, code, started, request_id, call, request)
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
    method: str,
    started: float,
    request_id: str,
    call: Call | None,
    request: Any,
    ended: Counter[tuple[str, str]],
) -> None:
    """Count a call that failed, write its line, and send its status. Returns, for the error to be raised on,
    only where grpc itself handles it."""
    error = _leaf(raised)
    if _is_grpcs_own(error):
        code = _code(context) if isinstance(error, grpc.aio.AbortError) else grpc.StatusCode.CANCELLED
        ended[method, code.name] += 1
        _note(logging.INFO, method, code, started, request_id, call, request)
        if error is not raised:
            raise error from None
        return
    shown = known(error)
    code = code_of(shown)
    ended[method, code.name] += 1
    level = logging.ERROR if code is grpc.StatusCode.INTERNAL else logging.INFO
    _note(level, method, code, started, request_id, call, request, shown.reason)
    await abort(context, shown, (REQUEST_ID, request_id))


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
    method: str,
    code: grpc.StatusCode,
    started: float,
    request_id: str,
    call: Call | None,
    request: Any,
    reason: str = "",
) -> None:
    """One line about a call: names and numbers, never content."""
    if not _log.isEnabledFor(level):
        return
    fields = {
        "method": method,
        "code": code.name,
        "duration_ms": round((perf_counter() - started) * 1000, 3),
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
    _log.log(level, "%s %s", method, code.name, extra=fields)
