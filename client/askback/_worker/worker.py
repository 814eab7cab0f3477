"""The worker: leases jobs of the types that it has functions for, and runs them."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from askback._client.client import Client, current_client, entered
from askback._client.understandings import Understandings
from askback._model.times import seconds
from askback._wire.channel import Endpoint, Tls, default_namespace
from askback._wire.stream import ReconnectingStream
from askback._worker.default_log import log_to_stderr_by_default
from askback._worker.handler import JobHandler
from askback._worker.job import Job
from askback._worker.job_function import check_job_type
from askback._worker.lease import Lease, Stop
from askback._worker.loop_watch import LoopWatch
from askback._worker.runner import run_job
from askback._worker.work_protocol import WorkProtocol
from askback.errors import AskbackError
from askback.v1 import worker_service_pb2 as pb

_log = logging.getLogger("askback.worker")

P = ParamSpec("P")
R = TypeVar("R")


class ClientSource(Protocol):
    """Connects a worker to its server before a job starts (see askback.testing)."""

    async def client_for(self, worker: Worker) -> Client:
        """Run `worker`, and return the client to start a job with."""


client_source: ClientSource | None = None
"""Set by askback.testing while a test runs, and by nothing else."""


class Worker:
    """Runs jobs.

        worker = Worker()

        @worker.job("refund")
        async def refund(job: Job, order: str) -> float: ...

        asyncio.run(worker.run())

    `capacity` is the most jobs that it leases at a time, jobs that wait for people not counted. `park_after`
    is the number of seconds that a job may only wait for people before its coroutine is dropped (None:
    never). `drain_timeout` is the time that running jobs get when the worker stops. Target, token, namespace
    and TLS come from the environment if they are not given, as for Client.

    A job function may start other jobs, at the worker's server. With a fixed `request_id` it starts them
    once, however often it is run: `await other.using(request_id=f"{job.job_id}/other").start(...)`.
    """

    def __init__(
        self,
        target: str | Endpoint | None = None,
        *,
        worker_id: str | None = None,
        capacity: int = 10,
        namespace: str | None = None,
        token: str | None = None,
        user: str | None = None,
        groups: Sequence[str] | None = None,
        tls: Tls | bool | None = None,
        park_after: float | None = 60.0,
        drain_timeout: float = 30.0,
    ) -> None:
        self.worker_id = worker_id or f"{socket.gethostname()}-{os.getpid()}"
        self.capacity = capacity
        self.namespace = default_namespace(namespace)
        self.park_after = None if park_after is None else seconds(park_after, "park_after")
        self.drain_timeout = seconds(drain_timeout, "drain_timeout")
        self._endpoint = Endpoint.resolve(target, token=token, user=user, groups=groups, tls=tls)
        self._handlers: dict[str, JobHandler[Any, Any]] = {}
        self._runs: dict[Lease, asyncio.Task[None]] = {}
        self._client: Client | None = None
        self._protocol: WorkProtocol | None = None
        self._session: ReconnectingStream | None = None
        self._watch: LoopWatch | None = None

    def job(self, job_type: str) -> Callable[[Callable[Concatenate[Job, P], Awaitable[R]]], JobHandler[P, R]]:
        """Register an async function `(job: Job, **input)` for a job type.

        The fields of the input become its arguments, converted to their annotations; its return value
        becomes the job's result. An exception fails the attempt; NonRetryable, InvalidArgument and an
        unanswered question fail the job for good.

        Raises TypeError, whose text shows what to write instead, for a function that is not async or does
        not accept the job, and without a job type; ValueError for a job type that the server would refuse or
        that has a function already; RuntimeError while the worker runs: the server knows its types already.
        """
        check_job_type(job_type)

        def register(function: Callable[Concatenate[Job, P], Awaitable[R]]) -> JobHandler[P, R]:
            if isinstance(function, JobHandler):  # one function for several types: decorators in a row
                function = function.function
            if self._session is not None:
                raise RuntimeError(f"the worker runs already: register {job_type!r} before it starts")
            if job_type in self._handlers:
                raise ValueError(
                    f"{job_type!r} has a function already, {self._handlers[job_type].__name__}: give this "
                    "one another job type, or remove one of the two"
                )
            handler = JobHandler(job_type, function, self._find_client)
            self._handlers[job_type] = handler
            return handler

        return register

    def at(
        self,
        target: str | Endpoint,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Sequence[str] | None = None,
        tls: Tls | bool | None = None,
    ) -> Worker:
        """An independent worker with the same functions and settings at another server."""
        other = copy.copy(self)
        other._endpoint = Endpoint.resolve(target, token=token, user=user, groups=groups, tls=tls)
        other._handlers = dict(self._handlers)
        other._runs = {}
        other._client = other._protocol = other._session = other._watch = None
        return other

    @property
    def connected(self) -> bool:
        """Whether a stream to the server is open."""
        return self._session is not None and self._session.connected

    @property
    def jobs(self) -> list[JobHandler[Any, Any]]:
        """The registered functions."""
        return list(self._handlers.values())

    @property
    def holding(self) -> int:
        """The number of jobs that it holds, including jobs that wait for people."""
        return len(self._runs)

    async def start(self, timeout: float | None = None) -> None:
        """Connect within `timeout` seconds (None: without limit) and begin to lease jobs.

        Raises ValueError without a registered function, TypeError for a function with a parameter that no
        JSON value fits, CannotConnect for settings that cannot work (it waits for a server that does not
        listen yet), AskbackError for a final error of the server, RuntimeError after a fork.
        """
        limit = None if timeout is None else seconds(timeout, "timeout")
        if not self._handlers:
            raise ValueError("register a function with @worker.job(...) first")
        if self._session is not None:
            raise RuntimeError("the worker runs already")
        for handler in self._handlers.values():
            handler.prepare()
        self._client = Client(self._endpoint, namespace=self.namespace)
        self._protocol = WorkProtocol(
            worker_id=self.worker_id,
            namespace=self.namespace,
            job_types=list(self._handlers),
            capacity=self.capacity,
            take=self._take,
        )
        self._session = ReconnectingStream(self._protocol, self._endpoint)
        self._watch = LoopWatch((handler.__name__, handler.function) for handler in self.jobs)
        self._watch.start()
        try:
            await self._session.start(limit, contact_timeout=limit)
        except BaseException:
            await self.aclose(drain_timeout=0)
            raise
        runs = ", ".join(self._handlers)
        _log.info("connected to %s as %s, runs %s", self._endpoint.address, self.worker_id, runs)

    async def run(self, *, handle_signals: bool = True) -> None:
        """Run until cancelled, or until SIGTERM or SIGINT, and then drain.

        In a program without a logging configuration the log goes to stderr, from INFO on. Raises AskbackError
        for a final error of the server.
        """
        log_to_stderr_by_default()
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        handled: list[int] = []
        if handle_signals:
            for number in (int(signal.SIGTERM), int(signal.SIGINT)):
                # Only the loop of the main thread may have signal handlers.
                with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.add_signal_handler(number, asked.set)
                    handled.append(number)
        stop = asyncio.create_task(asked.wait())
        starting = asyncio.create_task(self.start())
        drain: float | None = None
        try:
            await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                assert self._session is not None
                assert self._session.stopped is not None
                await asyncio.wait((self._session.stopped, stop), return_when=asyncio.FIRST_COMPLETED)
                if self._session.failure is not None:
                    raise self._session.failure
        except BaseException:
            drain = 0
            raise
        finally:
            for task in (stop, starting):
                task.cancel()
            await asyncio.gather(stop, starting, return_exceptions=True)
            await self.aclose(drain_timeout=drain)
            for number in handled:
                loop.remove_signal_handler(number)

    async def aclose(self, *, drain_timeout: float | None = None) -> None:
        """Drain and disconnect: lease no more jobs, wait for running ones, and release the rest.

        Running jobs have `drain_timeout` seconds to end; 0 releases all at once. A job that only waits for
        people is released at once. May be called repeatedly.
        """
        timeout = self.drain_timeout
        if drain_timeout is not None:
            timeout = (
                0.0
                if drain_timeout == 0 and drain_timeout is not False
                else seconds(drain_timeout, "drain_timeout")
            )
        session, wire = self._session, self._protocol
        if session is None or wire is None:
            return
        wire.capacity = 0
        session.send(pb.WorkClientFrame(capacity=pb.WorkCapacity(capacity=0)))
        try:
            await self._drain(timeout)
        finally:
            for task in self._runs.values():
                task.cancel()
            await asyncio.gather(*self._runs.values(), return_exceptions=True)
            self._runs.clear()
            await session.aclose()
            wire.close()
            if self._watch is not None:
                self._watch.stop()
            if self._client is not None:
                await self._client.aclose()
            self._session = self._protocol = self._client = self._watch = None

    async def _find_client(self) -> Client:
        return await client_source.client_for(self) if client_source is not None else await current_client()

    async def _drain(self, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while self._runs and loop.time() < end:
            for lease in self._runs:
                if lease.waits:
                    lease.stop(Stop.DRAIN)
            # Poll often: a job may begin to wait at any moment.
            await asyncio.wait(self._runs.values(), timeout=min(0.05, max(0.0, end - loop.time())))
        for lease in self._runs:
            lease.stop(Stop.DRAIN)
        if self._runs:
            await asyncio.wait(self._runs.values(), timeout=5.0)

    async def __aenter__(self) -> Worker:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def _take(self, leased: pb.LeasedJob, before: Lease | None) -> Lease | None:
        """Start a job that the server pushed; `before` is an older lease of the same job."""
        handler = self._handlers.get(leased.job.job_type)
        if self._session is None or self._protocol is None or self._client is None or handler is None:
            return None
        lease = Lease(leased, self._session, self.park_after)
        job = Job(lease, Understandings(self._client._calls))
        ahead = self._runs.get(before) if before is not None else None
        task = asyncio.create_task(self._run(lease, job, handler, ahead), name=f"askback job {lease.job_id}")
        self._runs[lease] = task
        return lease

    async def _run(
        self, lease: Lease, job: Job, handler: JobHandler[Any, Any], ahead: asyncio.Task[None] | None
    ) -> None:
        try:
            if ahead is not None:
                await asyncio.wait((ahead,))
            if lease.stopped is not Stop.LOST:
                # In the context of this task: jobs that the function starts go to the worker's server.
                entered.set(self._client)
                await run_job(lease, job, handler)
        except AskbackError as error:
            # The heartbeat's digest leaves the job out from now on, so the server reclaims it.
            _log.error("job %s: the server did not accept its end: %s", lease.job_id, error)
        except Exception:
            _log.exception("job %s: its end could not be reported", lease.job_id)
        finally:
            lease.close()
            self._runs.pop(lease, None)
            if self._protocol is not None:
                self._protocol.drop(lease)
