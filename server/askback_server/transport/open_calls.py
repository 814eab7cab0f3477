"""Calls that stay open: streams, and unary calls that wait. Counts them, and checks them once a second.

One task checks all of them: whether the caller still has access, and whether it reads its messages.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from askback_server.domain.errors import AskbackError, LimitExceeded, Unauthenticated
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.sessions.access import Access
from askback_server.transport.call_context import Context

INTERVAL_SECONDS = 1.0
"""Seconds between two checks of the open calls."""

_PRINCIPAL = "principal"
"""The kind of callers with a name of their own; others are counted by service and connection."""

_log = logging.getLogger("askback.server.transport")


class OpenCall:
    """One call of the current task, from `OpenCalls.open` to its `close`."""

    __slots__ = ("_authenticate", "_calls", "_task", "access", "caller", "error", "method", "writing_since")

    def __init__(
        self,
        calls: OpenCalls,
        method: str,
        caller: tuple[str, str],
        access: Access | None = None,
        authenticate: Callable[[], Principal] | None = None,
    ) -> None:
        self._calls = calls
        self.method = method
        self.caller = caller
        """The kind of caller and its name, under which its calls are counted."""
        self.access = access
        self.writing_since = 0.0
        """Monotonic time at which the current write began; 0 between writes."""
        self.error: AskbackError | None = None
        """The error with which the server ends the call."""
        self._task = _current_task()
        self._authenticate = authenticate
        if access is not None:
            access.end = self.end

    def end(self, error: AskbackError) -> None:
        """End the call with this error: cancels its handler."""
        if self.error is None:
            self.error = error
            self._task.cancel()

    def close(self) -> None:
        """Count the call no longer, and break its reference cycles.

        Full garbage collections are rare, and a stream may hold much memory.
        """
        self._calls.discard(self)
        self.error = None  # its traceback has frames that hold this call
        if self.access is not None:
            self.access.close()

    def check_access(self) -> None:
        """Authenticate the caller again; end the call if it has lost its access."""
        if self.access is None or self._authenticate is None or self.error is not None:
            return
        try:
            principal = self._authenticate()
            if principal is self.access.principal or principal == self.access.principal:
                return
            if principal.subject != self.access.principal.subject:
                raise Unauthenticated("these credentials now belong to another principal; connect again")
            self.access.change(principal)
        except AskbackError as error:
            self.end(error)

    @property
    def is_urgent(self) -> bool:
        """Whether the call was ended to free its memory at once."""
        error = self.error
        return isinstance(error, LimitExceeded) and error.metadata.get("limit", "").endswith("_bytes_in_all")

    @property
    def was_ended(self) -> bool:
        """Whether `end` caused the current cancel, and nothing else did. Consumes the cancel."""
        return self.error is not None and self._task.uncancel() == 0


class OpenCalls:
    """Counts open calls and enforces their limits. Ends calls whose caller lost access or does not read."""

    def __init__(self, limits: Limits, generation: Callable[[], object] = object) -> None:
        """`generation` returns an object that is replaced whenever the principals may have changed."""
        self._limits = limits
        self._generation = generation
        self._checked: object = None
        """The generation of the last check."""
        self._by_caller: Counter[tuple[str, str]] = Counter()
        self._open: set[OpenCall] = set()
        self._expiring: list[tuple[datetime, OpenCall]] = []
        self.by_method: Counter[str] = Counter()
        self.total = 0
        """Open calls of principals."""

    def open(
        self,
        principal: Principal,
        method: str,
        authenticate: Callable[[], Principal] | None = None,
        expires: datetime | None = None,
    ) -> OpenCall:
        """Count a call of a principal. Raises LimitExceeded.

        `authenticate` authenticates the caller again, and raises Unauthenticated if its credentials were
        removed. It is called when the generation changes, and when the credentials expire.
        """
        if self.total >= self._limits.streams:
            text = "this replica has too many open streams; try another one, or later"
            raise LimitExceeded(text, limit="streams", value=self._limits.streams, retry_after=1.0)
        caller = (_PRINCIPAL, principal.subject)
        if self._by_caller[caller] >= self._limits.streams_per_principal:
            text = "you have too many open streams; close some first"
            raise LimitExceeded(text, limit="streams_per_principal", value=self._limits.streams_per_principal)
        call = self._add(OpenCall(self, method, caller, Access(principal), authenticate))
        if expires is not None:
            self._expiring.append((expires, call))
        return call

    def open_public(self, service: str, method: str, peer: str) -> OpenCall:
        """Count a stream of the `health` or `reflection` service, which need no token.

        Raises LimitExceeded.
        """
        total, each = (
            (self._limits.health_streams, self._limits.health_streams_per_connection)
            if service == "health"
            else (self._limits.reflection_streams, self._limits.reflection_streams_per_connection)
        )
        if self.by_method[method] >= total or self._by_caller[service, peer] >= each:
            text = f"too many open {service} streams; close some first, or try later"
            raise LimitExceeded(text, limit=f"{service}_streams", value=total, retry_after=5.0)
        return self._add(OpenCall(self, method, (service, peer)))

    def _add(self, call: OpenCall) -> OpenCall:
        self._open.add(call)
        self._count(call, 1)
        return call

    def discard(self, call: OpenCall) -> None:
        """Count a call no longer, because it has ended."""
        if call in self._open:
            self._open.remove(call)
            self._count(call, -1)

    def _count(self, call: OpenCall, change: int) -> None:
        self.by_method[call.method] += change
        self.total += change * (call.caller[0] == _PRINCIPAL)
        self._by_caller[call.caller] += change
        if not self._by_caller[call.caller]:
            del self._by_caller[call.caller]

    async def run(self) -> None:
        """Check the open calls until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                self.check()
            except Exception:
                _log.exception("open calls could not be checked")

    def check(self) -> None:
        """Check every open call once."""
        generation = self._generation()
        if generation is not self._checked:
            self._checked = generation
            for call in tuple(self._open):
                call.check_access()
        self._check_expired()
        late = monotonic() - self._limits.unread.total_seconds()
        for call in tuple(self._open):
            if 0.0 < call.writing_since < late:
                call.end(_not_read(self._limits))

    def _check_expired(self) -> None:
        if not self._expiring:
            return
        now = datetime.now(UTC)
        waiting = []
        for expires, call in self._expiring:
            if call not in self._open:
                continue
            if expires <= now:
                call.check_access()  # the credentials may have been extended
            if call.error is None:
                waiting.append((expires, call))
        self._expiring = waiting


def _not_read(limits: Limits) -> LimitExceeded:
    seconds = limits.unread.total_seconds()
    text = f"nothing was read from this stream for {seconds:g} s; open it again, and read it"
    return LimitExceeded(text, limit="unread", value=f"{seconds:g} s", retry_after=1.0)


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


class StreamContext:
    """The context that a stream's handler gets: records the time of each write for `OpenCalls`."""

    __slots__ = ("_call", "_context", "read")

    def __init__(self, context: Context, call: OpenCall) -> None:
        self._context = context
        self._call = call
        self.read: Callable[[], Awaitable[Any]] = context.read  # a request, or grpc.aio.EOF

    async def write(self, message: object) -> None:
        """Write a message. Returns when the transport has accepted it: later, if the client does not read."""
        self._call.writing_since = monotonic()
        try:
            await self._context.write(message)
        finally:
            self._call.writing_since = 0.0

    def __getattr__(self, name: str) -> Any:  # an attribute of the context
        return getattr(self._context, name)
