"""Ends calls: counts them, writes one log line, and sends the status of their error."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from dataclasses import dataclass
from time import monotonic, perf_counter

import grpc

from askback_server.domain.errors import AskbackError
from askback_server.domain.principals import Principal
from askback_server.transport.acceptor import RESET
from askback_server.transport.call_context import CallContext, Context
from askback_server.transport.errors import abort, code_of, to_caller_error
from askback_server.transport.tokens import Metadata

REQUEST_ID = "askback-request-id"
"""The metadata key of the request id. A stream returns it in its initial metadata, a failed unary call in its
trailing metadata, and a successful one only if its caller sent an id, as metadata costs each side 10 µs."""

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}\Z")

_HEALTH_WATCH = "/grpc.health.v1.Health/Watch"

STATUS_READ_SECONDS = 5.0
"""Seconds that a client has to read the status of a failed call. Then the call is reset."""

_log = logging.getLogger("askback.server.calls")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call before its handler runs."""

    method: str
    metadata: Metadata
    started: float
    principal: Principal | None = None
    """None if the method needs no caller, or if authentication needs the certificate, which only the context
    has."""
    error: AskbackError | None = None


def request_id_of(metadata: Metadata) -> str:
    """The request id that the caller sent; empty if there is none, or an invalid one."""
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
    request: object,
    ended: Counter[tuple[str, str]],
    *,
    quiet: bool = False,
    urgent: bool = False,
) -> None:
    """Count a failed call, log it, and send its status.

    Raises grpc's AbortError once the status is sent, or CancelledError if the client cannot receive it.
    Returns only for an AbortError or a cancel that grpc must handle itself: raise it again then.
    """
    error = _leaf(raised)
    if _is_for_grpc(error):
        code = status_of(context) if isinstance(error, grpc.aio.AbortError) else grpc.StatusCode.CANCELLED
        ended[arrival.method, code.name] += 1
        # Every connection watches the health and ends the watch with a cancel: that is normal.
        level = logging.DEBUG if arrival.method == _HEALTH_WATCH else logging.INFO
        note_call(level, arrival, code, request_id, call, request)
        if not isinstance(error, grpc.aio.AbortError):
            # The client has disconnected. grpc would log the failed write with a traceback.
            raise asyncio.CancelledError from None
        if error is not raised:
            raise error from None
        return
    shown = to_caller_error(error)
    code = code_of(shown)
    ended[arrival.method, code.name] += 1
    level = logging.ERROR if code is grpc.StatusCode.INTERNAL else logging.INFO
    if not quiet:
        note_call(level, arrival, code, request_id, call, request, shown.reason)
    try:
        # A client that does not read would not read its status either, and its messages would stay in memory.
        async with asyncio.timeout(0.0 if urgent else STATUS_READ_SECONDS):
            await abort(context, shown, (REQUEST_ID, request_id))
    except TimeoutError:
        RESET.get(_cannot_reset)()
        raise asyncio.CancelledError from None
    except grpc.aio.AbortError:
        raise
    except grpc.aio.BaseError:
        raise asyncio.CancelledError from None  # the client has disconnected


def _cannot_reset() -> None:
    """Used with the accept loop of grpcio, which cannot reset a call."""


class LogQuota:
    """Limits log lines per second, so that unauthenticated callers cannot fill the disk."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._second = 0
        self._used = 0

    def take(self) -> bool:
        """Use one line of this second. Returns False if there was none left."""
        second = int(monotonic())
        if second != self._second:
            self._second, self._used = second, 0
        self._used += 1
        return self._used <= self._lines


def _leaf(error: BaseException) -> BaseException:
    """The error itself, or of the exception group of a task group the first of our errors, else the first."""
    while isinstance(error, BaseExceptionGroup):
        ours, _ = error.split(AskbackError)
        error = (ours or error).exceptions[0]
    return error


def _is_for_grpc(error: BaseException) -> bool:
    """Whether grpc handles the error: a cancel of the call, an abort, or a client that has disconnected.

    A CancelledError that a handler raises without a cancel of the call is none of these: passed on, it
    would end the call without a status, and its caller would wait until its deadline, or forever.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, grpc.aio.BaseError) and not isinstance(error, grpc.aio.UsageError)


def status_of(context: Context) -> grpc.StatusCode:
    """The code that the handler has set, or OK."""
    code: grpc.StatusCode | None = context.code()  # None until a handler sets one
    return grpc.StatusCode.OK if code is None else code


def logs_calls(level: int) -> bool:
    """Whether calls are logged at this level."""
    return _log.isEnabledFor(level)


def note_call(
    level: int,
    arrival: Arrival,
    code: grpc.StatusCode,
    request_id: str,
    call: CallContext | None,
    request: object,
    reason: str = "",
) -> None:
    """Log a call: its names and numbers, never its content."""
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
    """Whether a record of grpc reports more than a client that disconnected before it got its status.

    grpc logs each of these with a traceback, and any caller can cause any number of them without a token.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, grpc.aio.BaseError) or isinstance(error, grpc.aio.UsageError)
