"""A client that creates jobs: `python -m tests.faults.client`.

It keeps a number of jobs in flight, follows all of them by WatchJobs and some by WatchJob, creates some
twice, cancels some, and reads their results, on any replica.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc

from askback._wire.status import from_rpc
from askback.errors import AskbackError
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as pb
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub
from askback.v1.job_service_pb2_grpc import JobServiceStub
from tests.faults.plan import TYPE, draw_job
from tests.faults.program import CALL_SECONDS, Program, refusal, until_known

ENDED = (job_pb2.JOB_STATE_COMPLETED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED)
WATCH_SILENCE = 6.0
"""Seconds after which a silent watch is reopened: watches have no heartbeat."""


class JobClient:
    """Creates jobs and follows them to their end."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._rng = program.rng
        self._record = program.record
        self._at_once: int = program.options.get("at_once", 60)
        self._maximum: int = program.options.get("jobs", 10**9)
        self._created = 0
        self._ends: dict[str, asyncio.Event] = {}
        self._states: dict[str, int] = {}
        self._channels: list[grpc.aio.Channel] = []
        self._running: set[asyncio.Task[None]] = set()
        self._watching: set[asyncio.Task[None]] = set()
        self._seen_prompts: set[str] = set()
        self.closing = False
        self.read: list[tuple[str, int]] = []
        """Some ended jobs, to be read again at the end of the run."""

    async def open(self) -> None:
        """Connect, and watch all jobs."""
        self._channels = self._program.endpoint.each()
        self._watching.add(asyncio.create_task(self._watch_all()))

    async def work(self, tell: Callable[..., None]) -> None:
        """Create jobs, up to the limit at once, until `closing` is set."""
        while not self.closing and self._created < self._maximum:
            if len(self._running) >= self._at_once:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                continue
            self._created += 1
            task = asyncio.create_task(self._job(self._created))
            self._running.add(task)
            task.add_done_callback(self._discard)
        tell(all_made=True)

    def _discard(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._record.write("bug", text=repr(error))

    async def finish(self, seconds: float) -> None:
        """Wait for the running jobs, and record how many are left."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        self._record.write("finished", left=len(self._running))

    async def close(self) -> None:
        """Cancel all tasks and close the channels."""
        for task in (*self._running, *self._watching):
            task.cancel()
        await asyncio.gather(*self._running, *self._watching, return_exceptions=True)
        for channel in self._channels:
            await channel.close()

    async def follow_orders(self, tell: Callable[..., None]) -> None:
        """Create jobs and follow orders: `close SECONDS` (no new jobs, wait for the rest), `look` (read the
        results on every replica), `leave`."""
        creating = asyncio.create_task(self.work(tell))
        while (order := await self._program.next_order()) not in ("leave", "end"):
            if order.startswith("close"):
                self.closing = True
                await self.finish(float(order.partition(" ")[2]))
                tell(finished=True)
            elif order == "look":
                await self.read_on_all_replicas()
                tell(looked=True)
        creating.cancel()
        await self.close()

    async def _call(self, method: str, request: Any, channel: grpc.aio.Channel | None = None) -> Any:
        """Make a unary call, and retry it until its outcome is known. Raises AskbackError."""

        async def call() -> Any:
            to = channel or self._rng.choice(self._channels)
            stub: Any = (HitlServiceStub if method in ("GetPrompt", "ListAnswers") else JobServiceStub)(to)  # type: ignore[no-untyped-call]
            return await getattr(stub, method)(
                request, timeout=CALL_SECONDS, metadata=self._program.endpoint.metadata()
            )

        return await until_known(call, self._rng)

    async def _create(self, request: pb.CreateJobRequest) -> pb.CreateJobResponse | None:
        keep = (
            {"keep": request.retention.ToTimedelta().total_seconds()} if request.HasField("retention") else {}
        )
        op = self._record.invoke("create", id=request.request_id, f=request.input_json, **keep)
        try:
            reply = await self._call("CreateJob", request)
        except AskbackError as error:
            self._record.write("no", op=op, **refusal(error))
            return None
        self._record.write("ok", op=op, j=reply.job.job_id, again=reply.replayed)
        return reply  # type: ignore[no-any-return]

    async def _job(self, number: int) -> None:
        rng = random.Random(f"{self._rng.random()}")
        request = pb.CreateJobRequest(
            request_id=f"{self._program.name}-{number}",
            job_type=TYPE,
            max_attempts=50,
            input_json=json.dumps(self._draw(rng, number)),
        )
        if rng.random() < 0.05:
            request.max_attempts = 3
        if rng.random() < 0.02:
            request.retention.FromMilliseconds(500)
        if rng.random() < 0.03:
            answers = await asyncio.gather(self._create(request), self._create(request))
            reply = answers[0]
        else:
            reply = await self._create(request)
        if reply is None:
            return
        self._program.count("jobs")
        job_id = reply.job.job_id
        if rng.random() < 0.02:
            watch = asyncio.create_task(self._watch(job_id))
            self._watching.add(watch)
            watch.add_done_callback(self._watching.discard)
        if rng.random() < self._share("twice", 0.03):
            await self._create(request)
        if rng.random() < 0.01:
            request.input_json = "{}"
            await self._create(request)
        if rng.random() < self._share("cancel", 0.02):
            await asyncio.sleep(rng.uniform(0, 1))
            await self._cancel(job_id)
        await self._wait_for_end(job_id)
        self._program.count("ended")
        if not request.HasField("retention"):
            await self._read_job(job_id)
            if rng.random() < 0.2:
                self.read.append((job_id, number))

    def _draw(self, rng: random.Random, number: int) -> dict[str, Any]:
        return draw_job(rng, number, slow=self._share("slow", 0.004), rights=self._share("rights", 0.3))

    def _share(self, of: str, default: float) -> float:
        """The share of jobs with this property."""
        return float(self._program.options.get(f"{of}_share", default))

    async def _cancel(self, job_id: str) -> None:
        op = self._record.invoke("cancel", j=job_id)
        try:
            reply = await self._call("CancelJob", pb.CancelJobRequest(job_id=job_id))
        except AskbackError as error:
            self._record.write("no", op=op, **refusal(error))
        else:
            self._record.write("ok", op=op, st=reply.job.state)

    async def _wait_for_end(self, job_id: str) -> None:
        if self._states.get(job_id) in ENDED:
            return
        event = self._ends[job_id] = asyncio.Event()
        while not event.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await event.wait()
            if not event.is_set() and await self._is_over(job_id):
                break
        self._ends.pop(job_id, None)
        self._states.pop(job_id, None)

    async def _is_over(self, job_id: str) -> bool:
        try:
            reply = await self._call(
                "GetJob", pb.GetJobRequest(job_id=job_id, consistency=pb.CONSISTENCY_STRONG)
            )
        except AskbackError:
            return True  # it has been deleted after its retention
        return reply.job.state in ENDED

    async def _read_job(self, job_id: str, channel: grpc.aio.Channel | None = None, **facts: Any) -> None:
        """Read a job and record the result."""
        strong = self._rng.random() < 0.5 and channel is None
        request = pb.GetJobRequest(job_id=job_id)
        if strong:
            request.consistency = pb.CONSISTENCY_STRONG
        op = self._record.invoke("get", j=job_id, strong=strong, **facts)
        try:
            job = (await self._call("GetJob", request, channel)).job
        except AskbackError as error:
            self._record.write("no", op=op, **refusal(error))
            return
        self._record.write("ok", op=op, st=job.state, v=job.version, f=job.result_json)

    async def read_on_all_replicas(self) -> None:
        """Read some jobs and prompts on every replica, after the run has settled."""
        for job_id, _ in self._rng.sample(self.read, min(len(self.read), 60)):
            for place, channel in enumerate(self._channels):
                await self._read_job(job_id, channel, last=place)
        prompts = sorted(self._seen_prompts)
        for prompt_id in self._rng.sample(prompts, min(len(prompts), 100)):
            for place, channel in enumerate(self._channels):
                op = self._record.invoke("prompt", p=prompt_id, last=place)
                try:
                    p = (
                        await self._call("GetPrompt", hitl.GetPromptRequest(prompt_id=prompt_id), channel)
                    ).prompt
                except AskbackError as error:
                    self._record.write("no", op=op, **refusal(error))
                else:
                    answer = p.resolution.answer
                    self._record.write(
                        "ok", op=op, st=p.state, v=p.version, won=answer.answer_id, c=answer.comment
                    )

    async def _watch(self, job_id: str) -> None:
        """Follow one job to its end, on changing replicas."""
        seq = 0
        while True:
            channel = self._rng.choice(self._channels)
            stub: Any = JobServiceStub(channel)  # type: ignore[no-untyped-call]
            request = pb.WatchJobRequest(job_id=job_id, after_seq=seq)
            call = stub.WatchJob(request, metadata=self._program.endpoint.metadata())
            self._record.write("watch", j=job_id, after=seq)
            try:
                while True:
                    async with asyncio.timeout(WATCH_SILENCE):
                        message = await call.read()
                    if message is grpc.aio.EOF:  # type: ignore[attr-defined]
                        break
                    for event in message.events:
                        self._record.write(
                            "event",
                            j=job_id,
                            n=event.seq,
                            type=event.type,
                            st=event.state,
                            p=event.prompt_id,
                        )
                        seq = event.seq
                        if event.prompt_id:
                            self._seen_prompts.add(event.prompt_id)
                        if event.state in ENDED:
                            return
            except TimeoutError:
                pass
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return
            finally:
                call.cancel()
            await asyncio.sleep(self._rng.uniform(0.05, 0.3))

    async def _watch_all(self) -> None:
        """Follow all jobs, with resume tokens."""
        token, stream = "", 0
        while True:
            stream += 1
            channel = self._rng.choice(self._channels)
            stub: Any = JobServiceStub(channel)  # type: ignore[no-untyped-call]
            request = pb.WatchJobsRequest(resume_token=token)
            request.filter.job_types.append(TYPE)
            call = stub.WatchJobs(request, metadata=self._program.endpoint.metadata())
            self._record.write("jobs_hello", s=stream, resumes=bool(token))
            try:
                while True:
                    async with asyncio.timeout(WATCH_SILENCE):
                        message = await call.read()
                    if message is grpc.aio.EOF:  # type: ignore[attr-defined]
                        break
                    if message.reset:
                        self._record.write("jobs_reset", s=stream, why=message.reset)
                    for job in message.jobs:
                        self._note_job(job, stream)
                    if message.resume_token:
                        token = message.resume_token
                    if message.caught_up:
                        self._record.write("jobs_caught", s=stream)
            except TimeoutError:
                pass
            except grpc.aio.AioRpcError as error:
                self._record.write("jobs_lost", s=stream, **refusal(from_rpc(error)))
            finally:
                call.cancel()
            await asyncio.sleep(self._rng.uniform(0.05, 0.3))

    def _note_job(self, job: job_pb2.Job, stream: int) -> None:
        self._record.write("job", s=stream, j=job.job_id, st=job.state, v=job.version)
        if job.state in ENDED:
            self._states[job.job_id] = job.state
            event = self._ends.get(job.job_id)
            if event is not None:
                event.set()


def main() -> None:
    """Run until the order to leave."""
    program = Program.from_command_line()

    async def live() -> None:
        client = JobClient(program)
        await client.open()
        program.report(ready=True)
        await client.follow_orders(program.report)

    program.run(live)


if __name__ == "__main__":
    main()
