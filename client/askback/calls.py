"""Unary calls with a deadline, and with retries where a retry cannot do harm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from askback.backoff import Backoff
from askback.channel import Endpoint
from askback.errors import AskbackError
from askback.status import from_rpc, is_transient
from askback.times import seconds
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub
from askback.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from askback.v1.hitl_service_pb2_grpc import HitlServiceAsyncStub
    from askback.v1.job_service_pb2_grpc import JobServiceAsyncStub

R = TypeVar("R")
DEADLINE = 30.0
"""How long a call may take in all, retries included, in seconds."""
ATTEMPT = 10.0
"""How long one attempt may take."""
_NOTHING_DONE = frozenset({"ERROR_REASON_CONTENTION", "ERROR_REASON_QUEUE_FULL", "ERROR_REASON_DRAINING"})
"""Reasons that promise that nothing was changed: even a call that is not idempotent may be repeated."""


class Calls:
    """One channel for unary calls and server streams, opened when it is first used."""

    def __init__(self, endpoint: Endpoint, *, deadline: float = DEADLINE) -> None:
        self.endpoint = endpoint
        self.deadline = seconds(deadline, "deadline")
        self._channel: grpc.aio.Channel | None = None
        self._jobs: JobServiceAsyncStub | None = None
        self._hitl: HitlServiceAsyncStub | None = None

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel. Must be asked for in the loop that uses it."""
        if self._channel is None:
            self._channel = self.endpoint.open()
        return self._channel

    @property
    def jobs(self) -> JobServiceAsyncStub:
        """JobService."""
        if self._jobs is None:
            self._jobs = JobServiceStub(self.channel)
        return self._jobs

    @property
    def hitl(self) -> HitlServiceAsyncStub:
        """HitlService."""
        if self._hitl is None:
            self._hitl = HitlServiceStub(self.channel)
        return self._hitl

    async def unary(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Any, R], request: Any, *, idempotent: bool = True
    ) -> R:
        """Call and return the response.

        What passes (no server, contention, a full queue) is retried with full jitter until the deadline,
        if the call is idempotent or the server said that nothing was changed. Raises AskbackError.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self.deadline
        backoff = Backoff()
        while True:
            left = end - loop.time()
            try:
                return await method(
                    request, timeout=min(ATTEMPT, max(left, 0.001)), metadata=self.endpoint.metadata()
                )
            except grpc.aio.AioRpcError as rpc:
                error: AskbackError = from_rpc(rpc)
            if not (is_transient(error) and (idempotent or error.reason in _NOTHING_DONE)):
                raise error
            pause = backoff.next(error.retry_after or 0.0)
            if loop.time() + pause >= end:
                raise error
            await asyncio.sleep(pause)

    async def aclose(self) -> None:
        """Close the channel. Repeatable."""
        channel, self._channel, self._jobs, self._hitl = self._channel, None, None, None
        if channel is not None:
            await channel.close(None)
