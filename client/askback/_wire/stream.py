"""A stream that reconnects: every request gets its reply, whatever breaks in between."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

import grpc

from askback._wire.backoff import Backoff
from askback._wire.channel import Endpoint
from askback._wire.connection import Connection, FrameProtocol
from askback._wire.contact import connect
from askback._wire.forking import check_process
from askback._wire.outage import Outage
from askback._wire.oversize import give_back, size_problem
from askback._wire.retries import Retries
from askback._wire.status import from_frame, is_fatal, is_transient
from askback._wire.waiting import end_of, first_of
from askback.errors import AskbackError, CannotConnect, Internal, LeaseLost, MessageTooLarge, Unavailable

_log = logging.getLogger("askback.stream")

SETTLED_SECONDS = 1.0
"""Seconds after which a connection counts as a success, which resets the backoff."""
MOVE_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _Pending:
    """A frame that waits for its reply; it is resent on every new connection until then."""

    frame: Any
    future: asyncio.Future[Any]
    backoff: Backoff
    resend_timer: asyncio.TimerHandle | None = None


class ReconnectingStream:
    """Keeps one connection open, and resends every request until its reply.

    Requests must be idempotent: they are resent after a reconnect and after a transient error (a full
    queue, contention, a server that shuts down). Call all methods in the loop that awaited `start`.
    """

    def __init__(self, protocol: FrameProtocol, endpoint: Endpoint, *, backoff_cap: float = 5.0) -> None:
        self._protocol = protocol
        self._endpoint = endpoint
        self._backoff_cap = backoff_cap
        self._current: Connection | None = None
        self._pending: dict[int, _Pending] = {}
        self._unsent: deque[int] = deque()
        self._next_ref = 1
        self._supervisor: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._started: asyncio.Future[None] | None = None
        self._retries = Retries(protocol.method, is_fatal, Backoff(cap=backoff_cap))
        self._outage = Outage(protocol.name, endpoint.address)
        self._contact_timeout: float | None = None
        self._problem: CannotConnect | None = None
        self._closing = False
        self.failure: AskbackError | None = None

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return self._current is not None and not self._current.ended.done()

    @property
    def stopped(self) -> asyncio.Task[None] | None:
        """The supervising task; it ends when no further connection will be made (`failure` has the cause)."""
        return self._supervisor

    async def start(self, timeout: float | None = None, *, contact_timeout: float | None = None) -> None:
        """Open the first connection within `timeout` seconds (None: without limit).

        A server that cannot be reached at all has `contact_timeout` of these seconds to appear (None: all).
        Raises CannotConnect with the cause, AskbackError for a final error of the server, Unavailable after
        the timeout, RuntimeError after a fork and for a second start.
        """
        check_process()
        if self._supervisor is not None:
            raise RuntimeError("a console or worker session is started once; make another one")
        self._contact_timeout = contact_timeout
        self._started = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._run(), name=f"askback {self._protocol.name} session")
        done, _ = await asyncio.wait(
            (self._started, self._supervisor), timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        if self.failure is not None:
            raise self.failure
        if not done:
            await self.aclose(goodbye=False)
            raise self._problem or Unavailable(
                f"{self._endpoint.address} did not open a stream within {timeout:g} s"
            )

    def submit(self, frame: Any) -> asyncio.Future[Any]:
        """Send a frame and return the future of its reply; an error reply sets an AskbackError."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.failure is not None or self._closing:
            future.set_exception(self.failure or Unavailable("the session is closed"))
            return future
        if problem := size_problem(frame):
            future.set_exception(problem)
            return future
        ref, self._next_ref = self._next_ref, self._next_ref + 1
        frame.ref = ref
        self._pending[ref] = _Pending(frame, future, Backoff(cap=self._backoff_cap))
        self._unsent.append(ref)
        future.add_done_callback(lambda _: self._forget(ref))
        self._pump()
        return future

    async def request(self, frame: Any) -> Any:
        """Send a frame and wait for its reply. Raises AskbackError."""
        return await self.submit(frame)

    def send(self, frame: Any) -> bool:
        """Send a frame that has no reply. Returns False, and sends nothing, if no connection is open."""
        if self._current is None or self._current.ended.done():
            return False
        self._current.put(frame)
        return True

    async def aclose(self, *, goodbye: bool = True, grace: float = 3.0) -> None:
        """Close gracefully and end every task; waiting requests get Unavailable. May be called repeatedly."""
        self._closing = True
        try:
            if self._supervisor is not None:
                self._supervisor.cancel()
                await asyncio.gather(self._supervisor, return_exceptions=True)
            connection, self._current = self._current, None
            if connection is not None:
                await connection.close(goodbye=goodbye, grace=grace)
            await asyncio.gather(*self._retiring, return_exceptions=True)
        finally:
            self._drop_all(Unavailable("the session is closed"))

    async def _run(self) -> None:
        try:
            await self._keep_open()
        except Exception as error:
            _log.exception("%s: an unexpected error in the client", self._protocol.name)
            self._fail(Internal(f"the client's session broke: {error!r}"))

    async def _keep_open(self) -> None:
        leaving: Connection | None = None
        while True:
            connection = Connection(self._protocol, self._endpoint, self._switch, self._on_reply)
            try:
                await connection.open(None if self._retries.known else self._connect)
            except AskbackError as error:
                pause = self._pause_after(error, connection)
                if pause is None:
                    return
                if await self._pause(pause, leaving):
                    leaving = None
                continue
            opened = asyncio.get_running_loop().time()
            if leaving is not None:
                self._retire(leaving)
                leaving = None
            await first_of(connection.leave.wait(), end_of(connection.ended))
            if asyncio.get_running_loop().time() - opened > SETTLED_SECONDS:
                self._retries.reset()
            if not connection.ended.done():
                leaving = connection
                continue
            await connection.abandon()
            end = connection.ended.result()
            self._lose(connection)
            sent = map(self._pending.get, connection.in_flight)
            end = None if isinstance(end, MessageTooLarge) and give_back(sent, end) else end
            end = end or Unavailable("the server closed the stream")
            # The replica that we leave may request a wait; the next one may accept us at once.
            pause = self._pause_after(end, connection, elsewhere=True)
            if pause is None:
                return
            await asyncio.sleep(pause)

    async def _connect(self, channel: grpc.aio.Channel) -> None:
        def waiting(problem: CannotConnect) -> None:
            self._problem = problem
            self._outage.begin(problem)

        try:
            await connect(channel, self._endpoint, self._contact_timeout, waiting)
        except CannotConnect as problem:
            self._fail(problem)
            raise

    def _pause_after(
        self, error: AskbackError, connection: Connection, *, elsewhere: bool = False
    ) -> float | None:
        """Seconds to wait before the next connection; None if the error is final."""
        if self.failure is not None:
            return None
        try:
            again = self._protocol.on_refusal(error, connection.session)
            pause = self._retries.backoff.next() if again else self._retries.pause(error, elsewhere=elsewhere)
        except AskbackError as final:
            self._fail(final)
            return None
        self._outage.begin(error)
        return pause

    async def _pause(self, seconds: float, leaving: Connection | None) -> bool:
        """Wait; return True, at once, if the old connection ends before there is a new one."""
        if leaving is None:
            await asyncio.sleep(seconds)
            return False
        await asyncio.wait((leaving.ended,), timeout=seconds)
        if not leaving.ended.done():
            return False
        await leaving.abandon()
        self._lose(leaving)
        return True

    def _switch(self, connection: Connection) -> None:
        """Use this connection from now on; resend on it, in order, all requests without a reply."""
        self._retries.known = True
        self._outage.end()
        self._current = connection
        self._unsent = deque(sorted(ref for ref, item in self._pending.items() if item.resend_timer is None))
        if self._started is not None and not self._started.done():
            self._started.set_result(None)
        self._protocol.on_open(connection.put)
        self._pump()

    def _lose(self, connection: Connection) -> None:
        if self._current is connection:
            self._current = None
            self._protocol.on_disconnect(connection.last_sent)

    def _retire(self, connection: Connection) -> None:
        """Let the old connection finish in the background; its late replies still count."""
        grace = min(connection.leave_within or MOVE_SECONDS, MOVE_SECONDS)
        task = asyncio.create_task(
            connection.close(goodbye=False, grace=grace), name=f"askback {self._protocol.name} leaving"
        )
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _pump(self) -> None:
        connection = self._current
        if connection is None or connection.ended.done():
            return
        while self._unsent and len(connection.in_flight) < self._protocol.window:
            ref = self._unsent.popleft()
            if (item := self._pending.get(ref)) is not None:
                connection.in_flight.add(ref)
                connection.put(item.frame)

    def _on_reply(self, connection: Connection, frame: Any) -> None:
        connection.in_flight.discard(frame.ref)
        item = self._pending.get(frame.ref)
        if item is not None and not item.future.done():
            if frame.WhichOneof("body") == "error":
                error = from_frame(frame.error)
                if is_transient(error) or self._is_stale(connection, error):
                    if connection is self._current:  # else it is resent with all others on the next one
                        self._resend_later(frame.ref, item, error)
                else:
                    item.future.set_exception(error)
            else:
                item.future.set_result(frame)
        self._pump()

    def _is_stale(self, connection: Connection, error: AskbackError) -> bool:
        """Whether the lease was lost only for this connection: the next one has taken over the session, and
        the same request is valid there."""
        left = connection is not self._current or connection.leave.is_set()
        return left and isinstance(error, LeaseLost)

    def _resend_later(self, ref: int, item: _Pending, error: AskbackError) -> None:
        """Resend the request after a backoff, on the connection that is open then."""
        if item.resend_timer is None:
            pause = item.backoff.next(error.retry_after or 0.0)
            item.resend_timer = asyncio.get_running_loop().call_later(pause, self._resend, ref)

    def _resend(self, ref: int) -> None:
        if (item := self._pending.get(ref)) is not None:
            item.resend_timer = None
            self._unsent.append(ref)
            self._pump()

    def _forget(self, ref: int) -> None:
        item = self._pending.pop(ref, None)
        if item is not None and item.resend_timer is not None:
            item.resend_timer.cancel()

    def _fail(self, error: AskbackError) -> None:
        self.failure = error
        self._current = None
        self._protocol.on_disconnect(asyncio.get_running_loop().time())
        self._drop_all(error)

    def _drop_all(self, error: AskbackError) -> None:
        for item in list(self._pending.values()):
            if not item.future.done():
                item.future.set_exception(error)
                item.future.exception()  # mark it as retrieved: asyncio need not warn if no caller waits
