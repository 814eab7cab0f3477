"""The calls that stay open: streams, and unary calls that wait. They are counted, and watched once a second.

One task looks at all of them: whether the caller may still do what it does, and whether it reads what it is
sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from askback_server.domain.errors import AskbackError, LimitExceeded, Unauthenticated
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.sessions.access import Access

LOOK = 1.0
"""Seconds between two looks at the open calls, at most."""

_log = logging.getLogger("askback.server.transport")


class OpenCall:
    """One call while it is open."""

    def __init__(
        self,
        method: str,
        task: asyncio.Task[Any],
        access: Access | None,
        again: Callable[[], Principal] | None,
    ) -> None:
        self.method = method
        self.access = access
        self.writing_since = 0.0
        """When the message began that is being written (monotonic); 0 while none is."""
        self.error: AskbackError | None = None
        """Why the server ends the call."""
        self._task = task
        self._again = again
        if access is not None:
            access.end = self.end

    def end(self, error: AskbackError) -> None:
        """End the call with this error. Its handler is cancelled, wherever it waits."""
        if self.error is None:
            self.error = error
            self._task.cancel()

    def close(self) -> None:
        """The call has ended. What it held is freed at once, not by the next full garbage collection: there
        is hardly ever one, and a stream may hold much."""
        self.error = None  # its traceback has frames that hold this call
        if self.access is not None:
            self.access.close()

    def check_access(self) -> None:
        """Ask again who the caller is; end the call if it is no longer welcome."""
        if self.access is None or self._again is None or self.error is not None:
            return
        try:
            principal = self._again()
            if principal is self.access.principal or principal == self.access.principal:
                return
            if principal.subject != self.access.principal.subject:
                raise Unauthenticated("these credentials now belong to another principal; connect again")
            self.access.change(principal)
        except AskbackError as error:
            self.end(error)

    @property
    def is_urgent(self) -> bool:
        """Whether the memory that the call takes is wanted at once."""
        error = self.error
        return isinstance(error, LimitExceeded) and error.metadata.get("limit", "").endswith("_bytes_in_all")

    @property
    def was_ended(self) -> bool:
        """Whether the cancel that arrived is the one of `end`, and no other came."""
        return self.error is not None and self._task.uncancel() == 0


class OpenCalls:
    """Counts the calls that are open, refuses those that are too many, and watches the others."""

    def __init__(self, limits: Limits, generation: Callable[[], object] = object) -> None:
        """`generation` gives a value that changes whenever the principals may have changed."""
        self._limits = limits
        self._generation = generation
        self._known: object = None
        self._by_subject: Counter[str] = Counter()
        self._by_peer: Counter[tuple[str, str]] = Counter()
        self._open: set[OpenCall] = set()
        self._expiring: list[tuple[datetime, OpenCall]] = []
        self.by_method: Counter[str] = Counter()
        self.total = 0

    @contextmanager
    def one(
        self,
        principal: Principal,
        method: str,
        again: Callable[[], Principal] | None = None,
        expires: datetime | None = None,
    ) -> Iterator[OpenCall]:
        """One call of a principal in the current task, while it is open. Raises LimitExceeded.

        `again` authenticates the caller once more: it raises Unauthenticated when the credentials are gone,
        and is asked at the latest when they expire.
        """
        if self.total >= self._limits.streams:
            text = "this replica has too many open streams; try another one, or later"
            raise LimitExceeded(text, limit="streams", value=self._limits.streams, retry_after=1.0)
        subject = principal.subject
        if self._by_subject[subject] >= self._limits.streams_per_principal:
            text = "you have too many open streams; close some first"
            raise LimitExceeded(text, limit="streams_per_principal", value=self._limits.streams_per_principal)
        call = OpenCall(method, _current_task(), Access(principal), again)
        if expires is not None:
            self._expiring.append((expires, call))
        self.total += 1
        self._by_subject[subject] += 1
        with self._counted(call):
            try:
                yield call
            finally:
                call.close()
                self.total -= 1
                self._by_subject[subject] -= 1
                if not self._by_subject[subject]:
                    del self._by_subject[subject]

    @contextmanager
    def unauthenticated(self, service: str, method: str, peer: str) -> Iterator[OpenCall]:
        """One stream of a health check or of reflection, which need no token. Raises LimitExceeded."""
        total, each = (
            (self._limits.health_streams, self._limits.health_streams_per_connection)
            if service == "health"
            else (self._limits.reflection_streams, self._limits.reflection_streams_per_connection)
        )
        if self.by_method[method] >= total or self._by_peer[service, peer] >= each:
            text = f"too many open {service} streams; close some first, or try later"
            raise LimitExceeded(text, limit=f"{service}_streams", value=total, retry_after=5.0)
        self._by_peer[service, peer] += 1
        with self._counted(OpenCall(method, _current_task(), None, None)) as call:
            try:
                yield call
            finally:
                self._by_peer[service, peer] -= 1
                if not self._by_peer[service, peer]:
                    del self._by_peer[service, peer]

    @contextmanager
    def _counted(self, call: OpenCall) -> Iterator[OpenCall]:
        self._open.add(call)
        self.by_method[call.method] += 1
        try:
            yield call
        finally:
            self._open.discard(call)
            self.by_method[call.method] -= 1

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                self.look()
            except Exception:
                _log.exception("open calls could not be checked")

    def look(self) -> None:
        """Check every open call once."""
        generation = self._generation()
        if generation is not self._known:
            self._known = generation
            for call in tuple(self._open):
                call.check_access()
        self._look_at_expired()
        late = monotonic() - self._limits.unread.total_seconds()
        for call in tuple(self._open):
            if 0.0 < call.writing_since < late:
                call.end(_unread(self._limits))

    def _look_at_expired(self) -> None:
        if not self._expiring:
            return
        now = datetime.now(UTC)
        waiting = []
        for expires, call in self._expiring:
            if call not in self._open:
                continue
            if expires <= now:
                call.check_access()  # the entry may have been extended
            if call.error is None:
                waiting.append((expires, call))
        self._expiring = waiting


def _unread(limits: Limits) -> LimitExceeded:
    seconds = limits.unread.total_seconds()
    text = f"nothing was read from this stream for {seconds:g} s; open it again, and read it"
    return LimitExceeded(text, limit="unread", value=f"{seconds:g} s", retry_after=1.0)


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


class StreamContext:
    """A stream's context as its handler sees it: reads and writes, and the watch knows of each write."""

    def __init__(self, context: Any, call: OpenCall) -> None:
        self._context = context
        self._call = call
        self.read = context.read

    async def write(self, message: Any) -> None:
        """Write a message; returns when the transport has taken it, which a client that does not read
        delays."""
        self._call.writing_since = monotonic()
        try:
            await self._context.write(message)
        finally:
            self._call.writing_since = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
