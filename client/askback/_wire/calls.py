"""Unary calls with a deadline, and with retries where a retry is safe."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import grpc

from askback._model.times import seconds
from askback._wire.channel import Endpoint
from askback._wire.contact import CONNECT_SECONDS, connect
from askback._wire.diagnosis import diagnose
from askback._wire.forking import check_process, forget_channel
from askback._wire.retries import Retries
from askback._wire.status import from_rpc, is_transient
from askback.errors import AskbackError, CannotConnect, DeadlineExceeded, Unavailable
from askback.v1.access_service_pb2_grpc import AccessServiceStub
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub
from askback.v1.job_service_pb2_grpc import JobServiceStub
from askback.v1.policy_service_pb2_grpc import PolicyServiceStub

if TYPE_CHECKING:
    from askback.v1.access_service_pb2_grpc import AccessServiceAsyncStub
    from askback.v1.hitl_service_pb2_grpc import HitlServiceAsyncStub
    from askback.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from askback.v1.policy_service_pb2_grpc import PolicyServiceAsyncStub

R = TypeVar("R")
CALL_SECONDS = 30.0
"""Seconds that a call may take, retries included."""
ATTEMPT_SECONDS = 10.0
"""Seconds that one attempt may take."""
_NOTHING_DONE = frozenset({"ERROR_REASON_CONTENTION", "ERROR_REASON_QUEUE_FULL", "ERROR_REASON_DRAINING"})
"""Reasons that promise that nothing was changed: even a call that is not idempotent may be retried."""


NOTICE_SECONDS = 2.0
"""Seconds without a response after which to tell a person that a call is being retried."""
OnSilence = Callable[[AskbackError | None, float], object]
"""Receives the newest error (None: there was none yet) and the seconds left (infinite: no limit)."""
STREAMS_PER_CONNECTION = 50
"""Server streams per connection. A server allows at least 64 concurrent calls on a connection and queues the
others without a notice; the difference is for unary calls and the health check."""


class _ChannelStubs:
    """A channel with its stubs, and the number of server streams open on it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.channel = endpoint.open()
        self.jobs: JobServiceAsyncStub = JobServiceStub(self.channel)
        self.hitl: HitlServiceAsyncStub = HitlServiceStub(self.channel)
        self.access: AccessServiceAsyncStub = AccessServiceStub(self.channel)
        self.policy: PolicyServiceAsyncStub = PolicyServiceStub(self.channel)
        self.streams = 0


class Calls:
    """The connections for unary calls and server streams: the first is opened on first use, more are opened
    when the server streams need them.

    A channel belongs to one event loop. Another loop gets its own: after a second `asyncio.run`, and in
    another thread. Only a fork is refused (see askback._wire.forking).
    """

    def __init__(
        self, endpoint: Endpoint, *, deadline: float = CALL_SECONDS, contact_timeout: float = CONNECT_SECONDS
    ) -> None:
        self.endpoint = endpoint
        self.deadline = seconds(deadline, "deadline")
        self.contact_timeout = contact_timeout
        self.on_silence: OnSilence | None = None
        """Called once for a call that has had no response for `NOTICE_SECONDS` and is still being tried."""
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopConnections] = WeakKeyDictionary()

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel of unary calls. Read it in the loop that uses it."""
        return self._connections.first.channel

    @property
    def jobs(self) -> JobServiceAsyncStub:
        """JobService, for unary calls."""
        return self._connections.first.jobs

    @property
    def hitl(self) -> HitlServiceAsyncStub:
        """HitlService, for unary calls."""
        return self._connections.first.hitl

    @property
    def access(self) -> AccessServiceAsyncStub:
        """AccessService, for unary calls."""
        return self._connections.first.access

    @property
    def policy(self) -> PolicyServiceAsyncStub:
        """PolicyService, for unary calls."""
        return self._connections.first.policy

    @property
    def _connections(self) -> _LoopConnections:
        loop = asyncio.get_running_loop()
        connections = self._by_loop.get(loop)
        if connections is None:
            for old in [other for other in self._by_loop if other.is_closed()]:
                self._by_loop.pop(old).forget()
            connections = self._by_loop[loop] = _LoopConnections(self.endpoint)
        else:
            check_process()
        return connections

    def stream(self, method: Callable[[_ChannelStubs], Callable[..., Any]], request: Any) -> Any:
        """Start a server stream on a connection with a free place for it.

        `method` picks the method, for example `lambda on: on.jobs.WatchJob`. Returns the call.
        """
        connection = self._connections.pick()
        connection.streams += 1

        def free_stream(_: Any) -> None:
            connection.streams -= 1

        call = method(connection)(request, metadata=self.endpoint.metadata())
        call.add_done_callback(free_stream)
        return call

    async def unary(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Any, R],
        request: Any,
        *,
        idempotent: bool = True,
        patient: bool = False,
    ) -> R:
        """Call and return the response.

        Transient errors (no server, the network, contention, a full queue) are retried with full jitter
        until the deadline (`patient`: without a deadline), if the call is idempotent or the server reported
        that nothing was changed. Raises AskbackError; CannotConnect within seconds if there never was a
        connection.
        """
        loop = asyncio.get_running_loop()
        end = math.inf if patient else loop.time() + self.deadline
        retries = Retries(
            _name(method),
            lambda error: not (is_transient(error) and (idempotent or error.reason in _NOTHING_DONE)),
        )
        error: AskbackError | None = None

        def report_silence() -> None:
            if self.on_silence is not None:
                self.on_silence(error, end - loop.time())

        silence = loop.call_later(NOTICE_SECONDS, report_silence)
        try:
            await self.connect(None if patient else min(self.contact_timeout, self.deadline))
            while True:
                left = end - loop.time()
                try:
                    return await method(
                        request,
                        timeout=min(ATTEMPT_SECONDS, max(left, 0.001)),
                        metadata=self.endpoint.metadata(),
                    )
                except grpc.aio.AioRpcError as rpc:
                    error = from_rpc(rpc)
                try:
                    pause = retries.pause(error)
                except AskbackError as final:
                    raise _final_error(final, retries.method) from None
                if loop.time() + pause >= end:
                    raise await self._timeout_error(error)
                await asyncio.sleep(pause)
        finally:
            silence.cancel()

    async def connect(
        self, contact_timeout: float | None, waiting: Callable[[CannotConnect], object] = lambda problem: None
    ) -> None:
        """Make the first connection of this loop; does nothing later. See askback._wire.contact.connect."""
        connections = self._connections
        if not connections.connected:
            await connect(connections.first.channel, self.endpoint, contact_timeout, waiting)
            connections.connected = True

    async def _timeout_error(self, error: AskbackError) -> AskbackError:
        """The error to raise when the deadline has passed."""
        if error.from_server:
            return error
        problem = await diagnose(self.endpoint)
        if problem is not None:
            return problem
        text = f"no answer from {self.endpoint.address} within {self.deadline:g} s"
        if isinstance(error, DeadlineExceeded):
            return DeadlineExceeded(text)
        return Unavailable(f"{text}; the last error was: {error.message}", metadata=error.metadata)

    async def aclose(self) -> None:
        """Close the connections of this loop, and forget those of closed loops. May be called repeatedly."""
        try:
            check_process()
        except RuntimeError:  # the connections belong to the parent process
            self._by_loop.clear()
            return
        loop = asyncio.get_running_loop()
        for other, connections in list(self._by_loop.items()):
            if other is loop or other.is_closed():
                self._by_loop.pop(other, None)
                connections.forget()
                if other is loop:
                    await connections.close()


class _LoopConnections:
    """The connections of one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.first = _ChannelStubs(endpoint)
        self._all = [self.first]
        self.connected = False
        """Whether there ever was a connection."""

    def pick(self) -> _ChannelStubs:
        """A connection that can carry one more server stream; opens one if needed."""
        found = next((c for c in self._all if c.streams < STREAMS_PER_CONNECTION), None)
        if found is None:
            found = _ChannelStubs(self._endpoint)
            self._all.append(found)
        return found

    def forget(self) -> None:
        """Unregister the channels: a fork is safe again once they are closed."""
        for connection in self._all:
            forget_channel(connection.channel)

    async def close(self) -> None:
        """Close the channels."""
        for connection in self._all:
            await connection.channel.close(None)


def _name(method: Any) -> str:
    """The name of a stub's method, for example JobService.GetJob."""
    path = getattr(method, "_method", b"")
    text = path.decode() if isinstance(path, bytes) else str(path)
    return text.rpartition(".")[2].replace("/", ".") or "the method"


def _final_error(error: AskbackError, method: str) -> AskbackError:
    """The error to raise; a network error of a call that is not retried says that its outcome is unknown."""
    if error.from_server or type(error) not in (Unavailable, DeadlineExceeded):
        return error
    text = f"{error.message}; whether {method} was carried out is not known"
    return type(error)(text, metadata=error.metadata)
