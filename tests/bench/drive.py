"""The client of the bench: workers that ask and consoles that answer at once, all in one process."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from askback.v1 import hitl_service_pb2, job_service_pb2, prompt_pb2, worker_service_pb2
from tests.bench import messages
from tests.bench.outbox import Outbox
from tests.bench.processes import cpu, machine_busy
from tests.bench.servers import RunningServer

CHANNELS = 4
WORKERS = 32
TRIPS_EACH = 32
"""Trips of one console at the same time, at most: a stream may have 64 requests without a reply."""
CALLS_EACH = 64
"""Calls of one connection at the same time: a server accepts about a hundred."""
IN_FLIGHT = 64
WARM_TRIPS, TRIPS = 100, 400
HEARTBEAT = 5.0
SPARE = 2
"""Jobs per lane: while one is replaced, the lane continues with another."""
PATIENCE = 60.0
"""Seconds after which a wait fails."""


@dataclass(frozen=True)
class Plan:
    """What to measure of one server."""

    seconds: float = 4.0
    warm: float = 1.0
    asked: str = "form"
    prompts_per_job: int = 50
    """After this many prompts a job is completed and replaced by a new one."""
    alone: bool = True
    """Measure trips one at a time."""
    loaded: bool = True
    """Measure trips in a closed loop."""
    jobs: bool = True
    """Measure jobs per second."""
    in_flight: int = IN_FLIGHT
    """Trips or jobs of a closed loop."""
    paced: float = 0.0
    """Measure trips at this rate per second, whether or not earlier ones have ended."""


@dataclass(frozen=True)
class Window:
    """The measurements of a closed loop. Times in ms, CPU in µs of the whole window."""

    count: int
    seconds: float
    times: list[float]
    server_cpu: float
    db_cpu: float
    client_cpu: float
    other_cpu: float
    """CPU used by unrelated processes: how noisy the machine was."""
    bytes_in: float


@dataclass
class Measurements:
    """The measurements of one server. Times in ms."""

    alone: list[float] = field(default_factory=list)
    paced: list[float] = field(default_factory=list)
    loaded: Window | None = None
    jobs: Window | None = None


@dataclass
class _Job:
    job_id: str
    token: int
    worker: Outbox
    asked: int = 0


class UnexpectedReply(Exception):
    """The server gave an unexpected reply, or none."""


async def measure(
    server: RunningServer,
    plan: Plan,
    during: Callable[[], Awaitable[None]] | None = None,
    replicas: Sequence[RunningServer] = (),
    consoles: RunningServer | None = None,
) -> Measurements:
    """Do the measurements of the plan. `during` runs beside the loop of 64.

    `replicas` are further replicas of `server`, whose CPU time counts too. The consoles connect to one of
    them, `consoles`, instead of to `server`.
    """
    client = _Client(server, plan, replicas, consoles or server)
    try:
        await client.open()
        found = Measurements()
        if plan.alone:
            found.alone = await client.measure_alone(WARM_TRIPS, TRIPS)
        if plan.paced:
            found.paced = await client.measure_paced(plan.paced, plan.seconds)
        if plan.loaded:
            found.loaded = await client.measure_load(plan.warm, plan.seconds, during)
        if plan.jobs:
            found.jobs = await client.measure_jobs(plan.warm / 2, plan.seconds / 2)
        return found
    finally:
        await client.close()


async def time_trips(
    server: RunningServer, in_flight: int, during: Callable[[], Awaitable[None]]
) -> list[tuple[float, float]]:
    """Do trips while `during` runs. Returns when each began and ended."""
    client = _Client(server, Plan(), (), server)
    try:
        await client.open()
        await client.measure_alone(WARM_TRIPS, 0)
        return await client.time_trips(in_flight, during)
    finally:
        await client.close()


class _Client:
    def __init__(
        self, server: RunningServer, plan: Plan, replicas: Sequence[RunningServer], consoles: RunningServer
    ) -> None:
        self._server = server
        self._pids = [server.pid, *(replica.pid for replica in replicas)]
        self._content = messages.content(plan.asked)
        self._prompts_per_job = plan.prompts_per_job
        self._in_flight = plan.in_flight
        self._types = max(messages.TYPES, plan.in_flight // TRIPS_EACH)
        """Types of jobs, each with a console."""
        connections = max(CHANNELS, plan.in_flight // CALLS_EACH)
        self._channels = [_channel(server) for _ in range(connections)]
        """Of the workers, and of calls."""
        self._console_channels = [_channel(consoles) for _ in range(CHANNELS)]
        self._create: list[Any] = [
            channel.unary_unary(
                "/askback.v1.JobService/CreateJob",
                job_service_pb2.CreateJobRequest.SerializeToString,
                job_service_pb2.CreateJobResponse.FromString,
            )
            for channel in self._channels
        ]
        self._calls: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._workers: list[Outbox] = []
        self._jobs: list[list[_Job]] = [[] for _ in range(self._in_flight)]
        """By lane; the first job of a lane asks next."""
        self._replacing: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._trips: dict[str, asyncio.Future[None]] = {}
        self._leases: dict[str, asyncio.Future[_Job]] = {}
        self._completed: dict[int, asyncio.Future[None]] = {}
        self._welcomes: asyncio.Queue[None] = asyncio.Queue()
        self._bytes_in = 0
        self._run = os.urandom(4).hex()

    # Opening and closing.

    async def open(self) -> None:
        """Open the consoles and workers, and create a job for each trip in flight."""
        for number in range(self._types):
            filter = hitl_service_pb2.PromptFilter(job_types=[self._job_type(number)])
            hello = hitl_service_pb2.ConverseHello(console_id=f"console-{number}", filter=filter)
            outbox = self._stream(
                self._console_channels[number % CHANNELS],
                "HitlService/Converse",
                hitl_service_pb2.ConverseRequest,
                hitl_service_pb2.ConverseResponse,
                self._console,
            )
            outbox.send(hitl_service_pb2.ConverseClientFrame(ref=1, hello=hello))
        for number in range(WORKERS):
            outbox = self._stream(
                self._channels[number % len(self._channels)],
                "WorkerService/Work",
                worker_service_pb2.WorkRequest,
                worker_service_pb2.WorkResponse,
                self._worker,
            )
            work = worker_service_pb2.WorkHello(
                worker_id=f"worker-{number}",
                job_types=[self._job_type(number)],
                capacity=max(1, (SPARE * self._in_flight) // WORKERS),
            )
            outbox.send(worker_service_pb2.WorkClientFrame(ref=1, hello=work))
            self._workers.append(outbox)
        for _ in range(self._types + WORKERS):
            await self._wait_for(self._welcomes.get())
        self._start(self._send_heartbeats())
        for _ in range(SPARE):
            for first in range(0, self._in_flight, IN_FLIGHT):
                lanes = range(first, min(first + IN_FLIGHT, self._in_flight))
                await self._wait_for(_gather([self._add_job(lane) for lane in lanes]))

    def _stream(self, channel: Any, method: str, request: Any, response: Any, reader: Any) -> Outbox:
        parse = response.FromString

        def count_and_parse(data: bytes) -> Any:
            self._bytes_in += len(data)
            return parse(data)

        call = channel.stream_stream(f"/askback.v1.{method}", request.SerializeToString, count_and_parse)()
        outbox = Outbox(call.write, request)
        self._calls.append(call)
        self._start(outbox.run())
        self._start(reader(call, outbox))
        return outbox

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._fail_on_end)
        self._tasks.append(task)

    def _fail_on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self._broken.done():
            self._broken.set_exception(task.exception() or UnexpectedReply("a stream ended"))

    async def _wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for `work`. Raises UnexpectedReply after `PATIENCE`, or the error of a broken stream."""
        task = asyncio.ensure_future(work)
        await asyncio.wait([task, self._broken], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        if self._broken.done():
            self._broken.result()
        raise UnexpectedReply(f"{self._server.target}: nothing came in {PATIENCE} s")

    async def close(self) -> None:
        """Cancel all tasks and calls, and close the channels."""
        for task in (*self._tasks, *self._replacing):
            task.cancel()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._broken.done():
            self._broken.exception()
        for channel in (*self._channels, *self._console_channels):
            await channel.close(None)

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            for outbox in self._workers:
                outbox.send(worker_service_pb2.WorkClientFrame(heartbeat=worker_service_pb2.WorkHeartbeat()))

    # Frames from the server.

    async def _console(self, call: Any, outbox: Outbox) -> None:
        while (message := await call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            for frame in message.frames:
                name = frame.WhichOneof("body")
                if name == "prompt_event":
                    if frame.prompt_event.HasField("upserted"):
                        outbox.send(messages.answer(frame.prompt_event.upserted.prompt))
                elif name == "answer_prompt":
                    if frame.answer_prompt.result.status != prompt_pb2.ANSWER_STATUS_ACCEPTED:
                        raise UnexpectedReply(f"an answer was not accepted: {frame}")
                elif name == "welcome":
                    self._welcomes.put_nowait(None)
                elif name in ("error", "go_away"):
                    raise UnexpectedReply(f"an unexpected reply to a console: {frame}")

    async def _worker(self, call: Any, outbox: Outbox) -> None:
        while (message := await call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            for frame in message.frames:
                name = frame.WhichOneof("body")
                if name == "prompt_resolved":
                    prompt = frame.prompt_resolved.prompt
                    if prompt.resolution.answer.answer_id != prompt.key:
                        raise UnexpectedReply(f"a prompt was not resolved by its answer: {prompt}")
                    self._trips.pop(prompt.key).set_result(None)
                elif name == "job_leased":
                    leased = frame.job_leased.leased_job
                    job = _Job(leased.job.job_id, leased.token, outbox)
                    self._leases.pop(leased.job.request_id).set_result(job)
                elif name == "complete_job":
                    self._completed.pop(frame.ref).set_result(None)
                elif name == "welcome":
                    self._welcomes.put_nowait(None)
                elif name in ("error", "go_away", "lease_lost"):
                    raise UnexpectedReply(f"an unexpected reply to a worker: {frame}")

    # Measured operations.

    def _job_type(self, number: int) -> str:
        return messages.job_type(number, self._types)

    async def _new_job(self, number: int) -> _Job:
        """Create a job and wait until a worker has leased it."""
        request_id = f"{self._run}-{next(self._numbers)}"
        lease: asyncio.Future[_Job] = asyncio.get_running_loop().create_future()
        self._leases[request_id] = lease
        request = job_service_pb2.CreateJobRequest(
            request_id=request_id, job_type=self._job_type(number), input_json='{"version":"4.2.0"}'
        )
        await self._create[number % len(self._create)](request, timeout=PATIENCE)
        return await lease

    async def _complete(self, job: _Job) -> None:
        ref = next(self._numbers)
        done = self._completed[ref] = asyncio.get_running_loop().create_future()
        request = worker_service_pb2.CompleteJobRequest(
            job_id=job.job_id, token=job.token, result_json='{"released":true}'
        )
        job.worker.send(worker_service_pb2.WorkClientFrame(ref=ref, complete_job=request))
        await done

    async def _trip(self, lane: int) -> None:
        """Ask a prompt and wait for its resolution."""
        job = self._jobs[lane].pop(0)
        job.asked += 1
        key = str(next(self._numbers))
        resolved = self._trips[key] = asyncio.get_running_loop().create_future()
        # Contents differ, so that caches of equal contents do not help.
        self._content.body = f"{messages.BODY} ({key})"
        job.worker.send(messages.ask(job.job_id, job.token, key, self._content))
        await resolved
        if job.asked < self._prompts_per_job:
            self._jobs[lane].append(job)
            return
        task = asyncio.create_task(self._replace(job, lane))
        task.add_done_callback(self._finish_replacing)
        self._replacing.add(task)
        if not self._jobs[lane]:
            await task

    async def _replace(self, job: _Job, lane: int) -> None:
        await self._complete(job)
        await self._add_job(lane)

    def _finish_replacing(self, task: asyncio.Task[None]) -> None:
        self._replacing.discard(task)
        self._fail_on_error(task)

    async def _add_job(self, lane: int) -> None:
        self._jobs[lane].append(await self._new_job(lane))

    async def measure_alone(self, warm: int, trips: int) -> list[float]:
        """Measure trips one at a time, in ms."""
        times: list[float] = []
        await self._wait_for(self._one_after_another(warm, []))
        await self._wait_for(self._one_after_another(trips, times))
        return times

    async def _one_after_another(self, trips: int, times: list[float]) -> None:
        for number in range(trips):
            started = time.perf_counter()
            await self._trip(number % self._in_flight)
            times.append((time.perf_counter() - started) * 1000)

    async def measure_paced(self, rate: float, seconds: float) -> list[float]:
        """Measure trips that begin at fixed times, in ms from the time at which each was to begin."""
        times: list[float] = []
        began = time.perf_counter()

        async def one(number: int) -> None:
            await asyncio.sleep(began + number / rate - time.perf_counter())
            await self._trip(number % self._in_flight)
            times.append((time.perf_counter() - began - number / rate) * 1000)

        await self._wait_for(_gather([one(number) for number in range(int(rate * seconds))]))
        return times

    async def time_trips(
        self, in_flight: int, during: Callable[[], Awaitable[None]]
    ) -> list[tuple[float, float]]:
        """Do trips while `during` runs. Returns when each began and ended."""
        found: list[tuple[float, float]] = []
        beside = asyncio.ensure_future(during())

        async def lane(numbers: range) -> None:
            for number in itertools.cycle(numbers):
                if beside.done():
                    break
                started = time.perf_counter()
                await self._trip(number)
                found.append((started, time.perf_counter()))

        lanes = [asyncio.create_task(lane(range(n, self._in_flight, in_flight))) for n in range(in_flight)]
        for running in lanes:
            running.add_done_callback(self._fail_on_error)
        try:
            await asyncio.wait([beside, self._broken], return_when=asyncio.FIRST_COMPLETED)
            await self._wait_for(_gather(lanes))
            await beside
        finally:
            for task in (beside, *lanes):
                task.cancel()
        return found

    async def measure_load(
        self, warm: float, seconds: float, during: Callable[[], Awaitable[None]] | None
    ) -> Window:
        """Measure trips with 64 in flight."""
        return await self._run_closed_loop(warm, seconds, self._trip, during)

    async def measure_jobs(self, warm: float, seconds: float) -> Window:
        """Measure jobs created, leased and completed, with 64 in flight."""
        await self._wait_for(_gather(tuple(self._replacing)))
        for outbox in self._workers:
            capacity = worker_service_pb2.WorkCapacity(capacity=self._in_flight)
            outbox.send(worker_service_pb2.WorkClientFrame(capacity=capacity))

        async def one(lane: int) -> None:
            await self._complete(await self._new_job(lane))

        return await self._run_closed_loop(warm, seconds, one, None)

    async def _run_closed_loop(
        self,
        warm: float,
        seconds: float,
        one: Callable[[int], Awaitable[None]],
        during: Callable[[], Awaitable[None]] | None,
    ) -> Window:
        times: list[float] = []
        stopped = False

        async def lane(number: int) -> None:
            while not stopped:
                started = time.perf_counter()
                await one(number)
                times.append((time.perf_counter() - started) * 1000)

        async def window() -> Window:
            nonlocal stopped
            await asyncio.sleep(warm)
            beside = asyncio.ensure_future(during()) if during is not None else None
            times.clear()
            before, started, received = self._cpu(), time.perf_counter(), self._bytes_in
            await asyncio.sleep(seconds)
            took, received = time.perf_counter() - started, self._bytes_in - received
            used = [after - was for after, was in zip(self._cpu(), before, strict=True)]
            found = list(times)
            stopped = True
            if beside is not None:
                await beside
            if not found:
                raise UnexpectedReply(f"{self._server.target}: nothing was done in {seconds} s")
            server, db, client, machine = used
            other = max(0.0, machine - server - db - client)
            return Window(len(found), took, found, server, db, client, other, received / len(found))

        lanes = [asyncio.create_task(lane(n)) for n in range(self._in_flight)]
        for running in lanes:
            running.add_done_callback(self._fail_on_error)
        measuring: asyncio.Future[Window] = asyncio.ensure_future(window())
        try:
            broken: asyncio.Future[Any] = self._broken
            await asyncio.wait({measuring, broken}, return_when=asyncio.FIRST_COMPLETED)
            if not measuring.done():
                self._broken.result()
            await self._wait_for(_gather(lanes))
            return measuring.result()
        finally:
            measuring.cancel()
            for running in lanes:
                running.cancel()

    def _fail_on_error(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)

    def _cpu(self) -> tuple[float, float, float, float]:
        *servers, db = cpu(*self._pids, self._server.db_pid)
        client = time.process_time() * 1_000_000
        return sum(servers), db if self._server.db_pid else 0.0, client, machine_busy()


def _channel(server: RunningServer) -> Any:
    return grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])


async def _gather(work: Sequence[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*work)
