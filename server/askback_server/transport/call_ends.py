"""How calls end: counted, with one line in the log, and with the status of what ended them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any, TypeAlias

import grpc

from askback_server.domain.errors import AskbackError
from askback_server.domain.principals import Principal
from askback_server.transport.acceptor import RESET
from askback_server.transport.call_context import CallContext
from askback_server.transport.errors import abort, code_of, known
from askback_server.transport.tokens import Metadata

REQUEST_ID = "askback-request-id"
"""Metadata of a request, and of its answer: the initial of a stream, the trailing of a unary call that
fails, and of one that does not only if its caller sent an id (metadata costs both sides some 10 µs)."""

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}\Z")

_HEALTH_WATCH = "/grpc.health.v1.Health/Watch"

FAREWELL = 5.0
"""Seconds that a client has for reading why its call has ended, before the call is reset."""

_log = logging.getLogger("askback.server.calls")

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of a call before its handler runs."""

    method: str
    metadata: Metadata
    started: float
    principal: Principal | None = None
    """None: only the context knows the caller's certificate, or the method needs no caller."""
    error: AskbackError | None = None


def sent_id(metadata: Metadata) -> str:
    """The caller's own request id; empty if there is none, or one that makes no sense."""
    for key, value in metadata:
        if key == REQUEST_ID:
            return value if isinstance(value, str) and _SANE_REQUEST_ID.match(value) else ""
    return ""


async def end_call(
    raised: BaseException,
    context: Context,
    arrival: Arrival,
    request_id: str,
    call: CallContext | None,
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
        code = status_of(context) if isinstance(error, grpc.aio.AbortError) else grpc.StatusCode.CANCELLED
        ended[arrival.method, code.name] += 1
        # Each connection watches the health, and ends that by a cancel: no news.
        level = logging.DEBUG if arrival.method == _HEALTH_WATCH else logging.INFO
        note_call(level, arrival, code, request_id, call, request)
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
        note_call(level, arrival, code, request_id, call, request, shown.reason)
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


class LogQuota:
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


def status_of(context: Context) -> grpc.StatusCode:
    """The code that a handler has set; OK if it has set none."""
    code: grpc.StatusCode | None = context.code()  # None until a handler sets one
    return grpc.StatusCode.OK if code is None else code


def logs_calls(level: int) -> bool:
    """Whether the log has lines about calls at this level."""
    return _log.isEnabledFor(level)


def note_call(
    level: int,
    arrival: Arrival,
    code: grpc.StatusCode,
    request_id: str,
    call: CallContext | None,
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


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Whether a record of grpc's says more than that the peer was gone when a call's status was sent.

    grpc logs that with a traceback, and any caller, one without a token too, can have as many as it likes.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, grpc.aio.BaseError) or isinstance(error, grpc.aio.UsageError)
