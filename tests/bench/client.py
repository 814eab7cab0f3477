"""The client of the bench: workers that ask and consoles that answer at once, all in one process.

Workers are streams. For jobs that ask no one there are also workers that call LeaseJobs and CompleteJob.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from askback.v1 import hitl_service_pb2, job_service_pb2, prompt_pb2, worker_service_pb2
from tests.bench import messages, questions
from tests.bench.questions import Question, Questions
from tests.bench.servers import RunningServer
from tests.bench.streams import Stream, open_channels

CHANNELS = 4
WORKERS = 32
TRIPS_EACH = 32
"""Trips of one console at the same time, at most: a stream may have 64 requests without a reply."""
CALLS_EACH = 64
"""Calls of one connection at the same time: a server accepts about a hundred."""
OPENED_AT_ONCE = 64
"""Jobs created at the same time at the start."""
HEARTBEAT = 5.0
SPARE = 2
"""Jobs per lane: while one is replaced, the lane continues with another."""
CALLERS = 8
"""Workers that call. Each holds as many jobs as there are lanes for it."""
LEASE_WAIT_S = 10
"""How long a LeaseJobs call waits for a job."""
PATIENCE = 60.0
"""Seconds after which a wait fails."""

Found = TypeVar("Found")


@dataclass
class Job:
    """A job that a worker of the client holds."""

    job_id: str
    token: int
    worker: Stream
    asked: int = 0


class UnexpectedReply(Exception):
    """The server gave an unexpected reply, or none."""


class Client:
    """Workers and consoles of a server. `in_flight` lanes each have a job that asks.

    The consoles connect to `consoles`, which is the server or another replica. A job is replaced after
    `prompts_per_job` prompts.
    """

    def __init__(
        self, server: RunningServer, consoles: RunningServer, prompts_per_job: int, in_flight: int
    ) -> None:
        self._target = server.target
        self._questions = Questions()
        self._prompts_per_job = prompts_per_job
        self._in_flight = in_flight
        self._types = max(messages.TYPES, in_flight // TRIPS_EACH)
        """Types of jobs, each with a console."""
        connections = max(CHANNELS, in_flight // CALLS_EACH)
        self._channels = open_channels(server.address, connections)
        """Of the workers, and of calls."""
        self._console_channels = open_channels(consoles.address, CHANNELS)
        jobs, workers = job_service_pb2, worker_service_pb2
        self._create = self._method("JobService/CreateJob", jobs.CreateJobRequest, jobs.CreateJobResponse)
        self._lease = self._method(
            "WorkerService/LeaseJobs", workers.LeaseJobsRequest, workers.LeaseJobsResponse
        )
        self._complete = self._method(
            "WorkerService/CompleteJob", workers.CompleteJobRequest, workers.CompleteJobResponse
        )
        self._streams: list[Stream] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._workers: list[Stream] = []
        self._jobs: list[list[Job]] = [[] for _ in range(in_flight)]
        """By lane; the first job of a lane asks next."""
        self._replacing: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._asked: dict[str, Question] = {}
        """The questions that are in flight, by key."""
        self._trips: dict[str, asyncio.Future[None]] = {}
        self._leases: dict[str, asyncio.Future[Job]] = {}
        self._completed: dict[int, asyncio.Future[None]] = {}
        self._welcomes: asyncio.Queue[None] = asyncio.Queue()
        self._called: dict[str, asyncio.Future[None]] = {}
        """Jobs for workers that call, by request id: done when they are completed."""
        self._callers = 0
        self._bytes_of_calls = 0
        self._run = os.urandom(4).hex()

    @property
    def bytes_in(self) -> int:
        """Bytes of the messages that were received."""
        return self._bytes_of_calls + sum(stream.bytes_in for stream in self._streams)

    def _method(self, name: str, request: Any, response: Any) -> list[Any]:
        """A unary call on each channel."""

        def count_and_parse(data: bytes) -> Any:
            self._bytes_of_calls += len(data)
            return response.FromString(data)

        path = f"/askback.v1.{name}"
        return [
            channel.unary_unary(path, request.SerializeToString, count_and_parse)
            for channel in self._channels
        ]

    # Opening and closing.

    async def open(self) -> None:
        """Open the consoles and workers, and create a job for each trip in flight."""
        for number in range(self._types):
            filter = hitl_service_pb2.PromptFilter(job_types=[self._job_type(number)])
            hello = hitl_service_pb2.ConverseHello(console_id=f"console-{number}", filter=filter)
            console = self._open_stream(
                self._console_channels[number % CHANNELS],
                "HitlService/Converse",
                hitl_service_pb2.ConverseRequest,
                hitl_service_pb2.ConverseResponse,
                self._console,
            )
            console.outbox.send(hitl_service_pb2.ConverseClientFrame(ref=1, hello=hello))
        for number in range(WORKERS):
            worker = self._open_stream(
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
            worker.outbox.send(worker_service_pb2.WorkClientFrame(ref=1, hello=work))
            self._workers.append(worker)
        for _ in range(self._types + WORKERS):
            await self.wait_for(self._welcomes.get())
        self._watch(asyncio.create_task(self._send_heartbeats()))
        for _ in range(SPARE):
            for first in range(0, self._in_flight, OPENED_AT_ONCE):
                lanes = range(first, min(first + OPENED_AT_ONCE, self._in_flight))
                await self.wait_for(asyncio.gather(*(self._add_job(lane) for lane in lanes)))

    def _open_stream(self, channel: Any, method: str, request: Any, response: Any, reader: Any) -> Stream:
        stream = Stream(channel, method, request, response)
        self._streams.append(stream)
        self._watch(stream.sending)
        self._watch(asyncio.create_task(reader(stream)))
        return stream

    def _watch(self, task: asyncio.Task[None]) -> None:
        task.add_done_callback(self._fail_on_end)
        self._tasks.append(task)

    def _fail_on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self._broken.done():
            self._broken.set_exception(task.exception() or UnexpectedReply("a stream ended"))

    async def wait_for(self, work: Awaitable[Found]) -> Found:
        """Wait for `work`. Raises UnexpectedReply after `PATIENCE`, or the error of a broken stream."""
        task = asyncio.ensure_future(work)
        either: tuple[asyncio.Future[Any], ...] = (task, self._broken)
        await asyncio.wait(either, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        if self._broken.done():
            self._broken.result()
        raise UnexpectedReply(f"{self._target}: nothing came in {PATIENCE} s")

    async def close(self) -> None:
        """Cancel all tasks and calls, and close the channels."""
        for task in (*self._tasks, *self._replacing):
            task.cancel()
        for stream in self._streams:
            stream.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._broken.done():
            self._broken.exception()
        for channel in (*self._channels, *self._console_channels):
            await channel.close(None)

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            self._send_to_all(heartbeat=worker_service_pb2.WorkHeartbeat())

    def _send_to_all(self, **body: Any) -> None:
        for worker in self._workers:
            worker.outbox.send(worker_service_pb2.WorkClientFrame(**body))

    # Frames from the server.

    async def _console(self, stream: Stream) -> None:
        async for frame in stream.frames():
            name = frame.WhichOneof("body")
            if name == "prompt_event":
                if frame.prompt_event.HasField("upserted"):
                    prompt = frame.prompt_event.upserted.prompt
                    stream.outbox.send(messages.answer(prompt, self._asked.pop(prompt.key)))
            elif name == "answer_prompt":
                if frame.answer_prompt.result.status != prompt_pb2.ANSWER_STATUS_ACCEPTED:
                    raise UnexpectedReply(f"an answer was not accepted: {frame}")
            elif name == "welcome":
                self._welcomes.put_nowait(None)
            elif name in ("error", "go_away"):
                raise UnexpectedReply(f"an unexpected reply to a console: {frame}")

    async def _worker(self, stream: Stream) -> None:
        async for frame in stream.frames():
            name = frame.WhichOneof("body")
            if name == "prompt_resolved":
                prompt = frame.prompt_resolved.prompt
                if prompt.resolution.answer.answer_id != prompt.key:
                    raise UnexpectedReply(f"a prompt was not resolved by its answer: {prompt}")
                self._trips.pop(prompt.key).set_result(None)
            elif name == "job_leased":
                leased = frame.job_leased.leased_job
                job = Job(leased.job.job_id, leased.token, stream)
                self._leases.pop(leased.job.request_id).set_result(job)
            elif name == "complete_job":
                self._completed.pop(frame.ref).set_result(None)
            elif name == "welcome":
                self._welcomes.put_nowait(None)
            elif name in ("error", "go_away", "lease_lost"):
                raise UnexpectedReply(f"an unexpected reply to a worker: {frame}")

    # What is measured.

    def _job_type(self, number: int) -> str:
        return messages.job_type(number, self._types)

    async def new_job(self, lane: int) -> Job:
        """Create a job and wait until a worker has leased it."""
        request = self._new_request(self._job_type(lane))
        lease: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._leases[request.request_id] = lease
        await self._create[lane % len(self._create)](request, timeout=PATIENCE)
        return await lease

    def _new_request(self, job_type: str) -> job_service_pb2.CreateJobRequest:
        number = next(self._numbers)
        return job_service_pb2.CreateJobRequest(
            request_id=f"{self._run}-{number}", job_type=job_type, input_json=questions.job_input(number)
        )

    async def call_job(self, lane: int) -> None:
        """Create a job and wait until a worker that calls has leased and completed it."""
        request = self._new_request(questions.CALLED)
        completed = self._called[request.request_id] = asyncio.get_running_loop().create_future()
        await self._create[lane % len(self._create)](request, timeout=PATIENCE)
        await completed

    def start_callers(self) -> None:
        """Start the workers that call, unless they run."""
        callers, self._callers = range(self._callers, CALLERS), CALLERS
        for number in callers:
            self._watch(asyncio.create_task(self._caller(number)))

    async def _caller(self, number: int) -> None:
        """Lease jobs and complete them, at most `in_flight / CALLERS` at a time."""
        channel = number % len(self._channels)
        request = worker_service_pb2.LeaseJobsRequest(
            worker_id=f"caller-{number}", job_types=[questions.CALLED]
        )
        request.wait.seconds = LEASE_WAIT_S
        capacity = max(1, self._in_flight // CALLERS)
        running: set[asyncio.Task[None]] = set()
        while True:
            while len(running) >= capacity:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            request.max_jobs = capacity - len(running)
            reply = await self._lease[channel](request, timeout=PATIENCE)
            request.session_id, request.session_secret = reply.session_id, reply.session_secret
            for leased in reply.jobs:
                task = asyncio.create_task(self._complete_called(channel, leased))
                task.add_done_callback(running.discard)
                task.add_done_callback(self._fail_on_error)
                running.add(task)

    async def _complete_called(self, channel: int, leased: worker_service_pb2.LeasedJob) -> None:
        request = worker_service_pb2.CompleteJobRequest(
            job_id=leased.job.job_id,
            token=leased.token,
            result_json=questions.job_result(next(self._numbers)),
        )
        await self._complete[channel](request, timeout=PATIENCE)
        self._called.pop(leased.job.request_id).set_result(None)

    async def complete(self, job: Job) -> None:
        """Complete a job."""
        ref = next(self._numbers)
        done = self._completed[ref] = asyncio.get_running_loop().create_future()
        request = worker_service_pb2.CompleteJobRequest(
            job_id=job.job_id, token=job.token, result_json=questions.job_result(ref)
        )
        job.worker.outbox.send(worker_service_pb2.WorkClientFrame(ref=ref, complete_job=request))
        await done

    async def ask(self, lane: int) -> None:
        """Ask a prompt and wait for its resolution."""
        job = self._jobs[lane].pop(0)
        job.asked += 1
        question = self._questions.question(next(self._numbers))
        self._asked[question.key] = question
        resolved = self._trips[question.key] = asyncio.get_running_loop().create_future()
        job.worker.outbox.send(messages.ask(job.job_id, job.token, question))
        await resolved
        if job.asked < self._prompts_per_job:
            self._jobs[lane].append(job)
            return
        task = asyncio.create_task(self._replace(job, lane))
        task.add_done_callback(self._finish_replacing)
        self._replacing.add(task)
        if not self._jobs[lane]:
            await task

    async def _replace(self, job: Job, lane: int) -> None:
        await self.complete(job)
        await self._add_job(lane)

    def _finish_replacing(self, task: asyncio.Task[None]) -> None:
        self._replacing.discard(task)
        self._fail_on_error(task)

    async def _add_job(self, lane: int) -> None:
        self._jobs[lane].append(await self.new_job(lane))

    def _fail_on_error(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def prepare_for_jobs(self) -> None:
        """Let every worker hold as many jobs as there are lanes, once no job is being replaced."""
        await self.wait_for(asyncio.gather(*self._replacing))
        self._send_to_all(capacity=worker_service_pb2.WorkCapacity(capacity=self._in_flight))

    async def run_beside(
        self, lanes: Iterable[Coroutine[Any, Any, None]], main: Coroutine[Any, Any, Found]
    ) -> Found:
        """Run `main`, and lanes until they end after it. Fails as soon as a lane or a stream does."""
        running = [asyncio.create_task(lane) for lane in lanes]
        for task in running:
            task.add_done_callback(self._fail_on_error)
        beside = asyncio.create_task(main)
        either: tuple[asyncio.Future[Any], ...] = (beside, self._broken)
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            await self.wait_for(asyncio.gather(*running))
            return await beside
        finally:
            beside.cancel()
            for task in running:
                task.cancel()
