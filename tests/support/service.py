"""A whole replica in this process behind real gRPC, and raw stubs that talk to it.

Nothing here waits without an end: unary calls and streams carry a gRPC deadline, and every wait for
a frame gives up after `SOON`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from askback.v1 import (
    access_service_pb2_grpc,
    hitl_service_pb2_grpc,
    job_service_pb2_grpc,
    stream_pb2,
    worker_service_pb2_grpc,
)
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2 as job_messages
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from askback_server.config.settings import Config
from askback_server.lifecycle import Service

SOON = 30.0
"""Seconds that anything may take at most."""
EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]
Metadata = tuple[tuple[str, str], ...]

NOBODY_ID = "00000000-0000-7000-8000-000000000000"
"""Spelt like an id, and nobody's."""

PENDING, RUNNING, PENDING_HITL = 1, 2, 3
COMPLETED, FAILED, CANCELLED = 4, 5, 6
ACCEPT, EDIT, RESPOND = prompts.DECISION_ACCEPT, prompts.DECISION_EDIT, prompts.DECISION_RESPOND
REVISE, REJECT = prompts.DECISION_REVISE, prompts.DECISION_REJECT


def seconds(value: float) -> Duration:
    """A duration."""
    message = Duration()
    message.FromMicroseconds(int(value * 1_000_000))
    return message


def confirm(title: str = "Go on?", **fields: Any) -> prompts.PromptContent:
    """A prompt that only wants a decision: ACCEPT, REVISE with a comment, or REJECT."""
    fields.setdefault("kind", "confirm")
    fields.setdefault("blocking", True)
    return prompts.PromptContent(title=title, **fields)


def form(title: str = "Which?", **fields: Any) -> prompts.PromptContent:
    """A prompt with a required integer and a text."""
    questions = [
        prompts.Question(question_id="n", title="How many?", required=True, integer=prompts.IntegerInput()),
        prompts.Question(question_id="why", title="Why?", text=prompts.TextInput()),
    ]
    return confirm(title, kind="clarify", questions=prompts.QuestionForm(questions=questions), **fields)


def audience(*users: str, groups: Sequence[str] = ()) -> prompts.Audience:
    """Who may see it."""
    return prompts.Audience(users=users, groups=groups)


@dataclass
class Refusal:
    """What a status, or the error of a frame, says."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: dict[str, str] = field(default_factory=dict)
    retry_delay: float | None = None
    result: hitl.AnswerResult | None = None


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """The status of a call, with its details: exactly one ErrorInfo where there is any."""
    found = Refusal(error.code(), error.details() or "")
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    infos = 0
    for detail in status.details if status is not None else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry, result = error_details_pb2.RetryInfo(), hitl.AnswerResult()
        if detail.Unpack(info):
            assert info.domain == "askback.dev"
            infos += 1
            found.reason = info.reason.removeprefix("ERROR_REASON_")
            found.metadata = dict(info.metadata)
        elif detail.Unpack(bad):
            found.violations = {v.field: v.description for v in bad.field_violations}
        elif detail.Unpack(retry):
            found.retry_delay = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Unpack(result):
            found.result = result
    assert infos == (1 if status is not None else 0)
    return found


def frame_refusal(error: stream_pb2.FrameError) -> Refusal:
    """The same of a frame."""
    assert error.reason.startswith("ERROR_REASON_"), "a FrameError without a reason"
    code = grpc.StatusCode[code_pb2.Code.Name(error.code)]
    delay = error.retry_delay.ToTimedelta().total_seconds() if error.HasField("retry_delay") else None
    violations = {v.field: v.description for v in error.violations}
    reason = error.reason.removeprefix("ERROR_REASON_")
    return Refusal(code, error.message, reason, dict(error.metadata), violations, delay)


async def refused(call: Awaitable[Any], code: str, reason: str, **metadata: str) -> Refusal:
    """The call must fail like this; metadata is checked key by key."""
    try:
        async with asyncio.timeout(SOON):
            answer = await call
    except grpc.aio.AioRpcError as error:
        found = refusal_of(error)
    else:
        raise AssertionError(f"expected {reason}, got {answer}")
    check(found, code, reason, **metadata)
    return found


async def outcome(call: Awaitable[Any]) -> str:
    """The name of the code that a call ends with."""
    try:
        async with asyncio.timeout(SOON):
            await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


def check(found: Refusal, code: str, reason: str, **metadata: str) -> None:
    """The refusal is this one."""
    assert (found.code.name, found.reason) == (code, reason), found
    assert found.message
    assert {k: found.metadata.get(k) for k in metadata} == metadata
    if reason in ("INVALID_FIELD", "ANSWER_INVALID"):
        assert found.violations, "which field was wrong?"


async def until(condition: Callable[[], object]) -> None:
    """Wait for what must happen soon."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class _Stub:
    """A stub whose every call carries the caller's metadata and a deadline."""

    def __init__(self, stub: Any, metadata: Metadata) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stub, name)

        def call(*request: Any, timeout: float = 3 * SOON) -> Any:
            return method(*request, metadata=self._metadata, timeout=timeout)

        return call


class Stream:
    """One side of a stream: frames out, frames in, in the order in which they came."""

    request: type[Any]
    probe: Callable[[int], Any]
    """A frame whose reply must be NOT_FOUND: a round trip."""
    pushed_by_time: frozenset[str] = frozenset({"heartbeat"})

    def __init__(self, call: Any) -> None:
        self.call = call
        self.heartbeats: list[Any] = []
        self.messages = 0
        self._in: asyncio.Queue[Any] = asyncio.Queue()
        self._refs = itertools.count(1000)
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        # A cancelled read would cancel the call, so one task reads and nobody waits for it with a timeout.
        try:
            async for message in self.call:
                self.messages += 1
                assert message.frames
                for frame in message.frames:
                    self._in.put_nowait(frame)
            self._in.put_nowait(None)
        except grpc.aio.AioRpcError as error:
            self._in.put_nowait(error)
        except asyncio.CancelledError:
            self._in.put_nowait(None)

    async def send(self, *frames: Any) -> None:
        """One message with these frames."""
        async with asyncio.timeout(SOON):
            await self.call.write(self.request(frames=frames))

    async def any_frame(self) -> Any:
        """The next frame. Raises AioRpcError or EOFError at the end."""
        async with asyncio.timeout(SOON):
            found = await self._in.get()
        if found is None:
            raise EOFError
        if isinstance(found, BaseException):
            raise found
        return found

    async def frame(self) -> Any:
        """The next frame that is no heartbeat. Raises AioRpcError or EOFError at the end."""
        while True:
            found = await self.any_frame()
            if found.WhichOneof("body") not in self.pushed_by_time:
                return found
            self.heartbeats.append(found.heartbeat)

    async def expect(self, body: str) -> Any:
        """The next frame's body, which must be this one."""
        frame = await self.frame()
        assert frame.WhichOneof("body") == body, frame
        return getattr(frame, body)

    async def ask(self, **body: Any) -> Any:
        """Send one frame and return the body of its reply, which must be the next frame."""
        ref = next(self._refs)
        [name] = body
        await self.send(self._frame(ref, **body))
        frame = await self.frame()
        assert frame.ref == ref, frame
        assert frame.WhichOneof("body") == name, frame
        return getattr(frame, name)

    async def ask_refused(self, code: str, reason: str, **body: Any) -> Refusal:
        """Send one frame that must be refused."""
        ref = next(self._refs)
        await self.send(self._frame(ref, **body))
        frame = await self.frame()
        assert frame.ref == ref, frame
        assert frame.WhichOneof("body") == "error", frame
        found = frame_refusal(frame.error)
        check(found, code, reason)
        return found

    async def nothing_more(self) -> None:
        """Whatever was committed before now has been told: a round trip brings its reply only."""
        ref = next(self._refs)
        await self.send(self._probe(ref))
        frame = await self.frame()
        assert frame.ref == ref, frame
        assert self._in.empty() or self._in.qsize() == len(self.heartbeats_waiting()), self._in

    def heartbeats_waiting(self) -> list[Any]:
        """Frames that came and were not read, heartbeats only."""
        waiting = list(self._in._queue)  # type: ignore[attr-defined]
        return [f for f in waiting if f is not None and f.WhichOneof("body") in self.pushed_by_time]

    def _frame(self, ref: int, **body: Any) -> Any:
        raise NotImplementedError

    def _probe(self, ref: int) -> Any:
        raise NotImplementedError

    async def ended(self) -> Refusal | None:
        """Wait for the end; the status if it was not OK."""
        try:
            while True:
                await self.frame()
        except EOFError:
            return None
        except grpc.aio.AioRpcError as error:
            return refusal_of(error)

    async def no_more_requests(self) -> None:
        """Half-close."""
        async with asyncio.timeout(SOON):
            await self.call.done_writing()

    async def aclose(self) -> None:
        """Break the stream off, as a crash would."""
        self.call.cancel()
        self._reader.cancel()
        async with asyncio.timeout(SOON):
            await asyncio.gather(self._reader, return_exceptions=True)


class Console(Stream):
    """The console's side of Converse."""

    request = hitl.ConverseRequest

    def _frame(self, ref: int, **body: Any) -> Any:
        return hitl.ConverseClientFrame(ref=ref, **body)

    def _probe(self, ref: int) -> Any:
        return self._frame(ref, get_prompt=hitl.GetPromptRequest(prompt_id=NOBODY_ID))

    async def hello(self, **hello: Any) -> Any:
        """Say hello; returns the welcome."""
        await self.send(hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello(**hello)))
        return await self.expect("welcome")

    async def event(self, kind: str) -> Any:
        """The next prompt event, which must be of this kind."""
        event = await self.expect("prompt_event")
        assert event.WhichOneof("event") == kind, event
        return getattr(event, kind)

    async def snapshot(self) -> tuple[list[Any], Any]:
        """The prompts up to `caught_up`, and that."""
        shown = []
        while True:
            event = await self.expect("prompt_event")
            match event.WhichOneof("event"):
                case "upserted":
                    shown.append(event.upserted.prompt)
                case "caught_up":
                    return shown, event.caught_up
                case other:
                    raise AssertionError(other)

    async def token(self) -> str:
        """The token of a heartbeat that came after all that was told so far."""
        await self.nothing_more()
        seen = len(self.heartbeats)
        while len(self.heartbeats) < seen + 2:
            found = await self.any_frame()
            assert found.WhichOneof("body") == "heartbeat", found
            self.heartbeats.append(found.heartbeat)
        return str(self.heartbeats[-1].resume_token)

    async def credit(self, count: int) -> None:
        """Give credit."""
        await self.send(hitl.ConverseClientFrame(credit=hitl.ConverseCredit(prompts=count)))


class Worker(Stream):
    """The worker's side of Work."""

    request = workers.WorkRequest
    session_id = ""
    secret = ""

    def _frame(self, ref: int, **body: Any) -> Any:
        return workers.WorkClientFrame(ref=ref, **body)

    def _probe(self, ref: int) -> Any:
        return self._frame(ref, list_checkpoints=workers.ListCheckpointsRequest(job_id=NOBODY_ID))

    async def hello(self, *job_types: str, **hello: Any) -> Any:
        """Say hello; returns the welcome."""
        hello.setdefault("worker_id", "w")
        body = workers.WorkHello(job_types=job_types or ("t",), **hello)
        await self.send(workers.WorkClientFrame(ref=1, hello=body))
        welcome = await self.expect("welcome")
        self.session_id, self.secret = welcome.session_id, welcome.session_secret
        return welcome

    async def leased(self) -> Any:
        """The next frame, which must be a job."""
        return (await self.expect("job_leased")).leased_job

    async def lose(self) -> None:
        """Crash, and stay away."""
        await self.aclose()


class Caller:
    """Raw stubs that speak for one principal."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Metadata) -> None:
        self.jobs: Any = _Stub(job_service_pb2_grpc.JobServiceStub(channel), metadata)
        self.workers: Any = _Stub(worker_service_pb2_grpc.WorkerServiceStub(channel), metadata)
        self.hitl: Any = _Stub(hitl_service_pb2_grpc.HitlServiceStub(channel), metadata)
        self.access: Any = _Stub(access_service_pb2_grpc.AccessServiceStub(channel), metadata)


class World(Caller):
    """A running service and its callers; by itself it calls as `ada`."""

    def __init__(self, service: Service, channel: grpc.aio.Channel) -> None:
        super().__init__(channel, (("askback-user", "ada"),))
        self.service = service
        self.channel = channel
        self._streams: list[Stream] = []

    def as_user(self, user: str, groups: str = "") -> Caller:
        """Somebody, by name (authentication off)."""
        return Caller(self.channel, (("askback-user", user), ("askback-groups", groups)))

    def with_token(self, token: str) -> Caller:
        """The owner of a token."""
        return Caller(self.channel, (("authorization", f"Bearer {token}"),) if token else ())

    def console(self, caller: Caller | None = None) -> Console:
        """A Converse stream."""
        stream = Console((caller or self).hitl.Converse())
        self._streams.append(stream)
        return stream

    def worker(self, caller: Caller | None = None) -> Worker:
        """A Work stream."""
        stream = Worker((caller or self).workers.Work())
        self._streams.append(stream)
        return stream

    async def settled(self) -> None:
        """Wait until the log of all that was committed so far has been read: then tokens are new."""
        replica = self.service.replica
        # Also what other transactions still hold back: those of other replicas, for example.
        position, head = replica.feed.position, None
        while head != position:
            head = position
            _, position = await replica.log.after(head, 10_000, settled=False)
        await until(lambda: replica.feed.position >= head)

    def stopped(self) -> None:
        """The test has stopped the service itself."""

        async def nothing() -> None:
            pass

        self.service.stop = nothing  # type: ignore[method-assign]

    async def close(self) -> None:
        """End what the test left open."""
        for stream in self._streams:
            await stream.aclose()

    async def create(self, job_type: str = "t", **fields: Any) -> job_messages.Job:
        """A new job."""
        created = await self.jobs.CreateJob(jobs.CreateJobRequest(job_type=job_type, **fields))
        job: job_messages.Job = created.job
        return job

    async def asked(self, content: prompts.PromptContent | None = None, **fields: Any) -> prompts.Prompt:
        """An open prompt of a job that has no worker."""
        fields.setdefault("job_type", "t")
        request = jobs.CreateJobRequest(prompt=content or confirm(), **fields)
        prompt: prompts.Prompt = (await self.jobs.CreateJob(request)).prompt
        return prompt

    async def job(self, job_id: str) -> job_messages.Job:
        """The job as the database has it."""
        request = jobs.GetJobRequest(job_id=job_id, consistency=jobs.CONSISTENCY_STRONG)
        job: job_messages.Job = (await self.jobs.GetJob(request)).job
        return job

    async def prompt(self, prompt_id: str) -> prompts.Prompt:
        """The prompt as it is."""
        prompt: prompts.Prompt = (
            await self.hitl.GetPrompt(hitl.GetPromptRequest(prompt_id=prompt_id))
        ).prompt
        return prompt

    async def lease(self, *job_types: str, wait: float = SOON, **fields: Any) -> workers.LeaseJobsResponse:
        """Jobs for a worker without a stream."""
        fields.setdefault("worker_id", "w")
        request = workers.LeaseJobsRequest(job_types=job_types or ("t",), **fields)
        if wait:
            request.wait.CopyFrom(seconds(wait))
        response: workers.LeaseJobsResponse = await self.workers.LeaseJobs(request)
        return response

    async def held(self, job_type: str = "t", **fields: Any) -> workers.LeasedJob:
        """A new job, leased by a worker without a stream."""
        job = await self.create(job_type, **fields)
        [leased] = (await self.lease(job_type)).jobs
        assert leased.job.job_id == job.job_id
        return leased

    async def ask(self, lease: workers.LeasedJob, key: str, content: Any = None, **fields: Any) -> Any:
        """The job of a lease asks; returns the prompt."""
        request = workers.AskPromptRequest(
            job_id=lease.job.job_id, token=lease.token, key=key, content=content or confirm(), **fields
        )
        return (await self.workers.AskPrompt(request)).prompt

    async def amended(self, lease: workers.LeasedJob, key: str, title: str, **fields: Any) -> Any:
        """Other content under the key."""
        return await self.ask(lease, key, confirm(title, **fields))

    async def state(self, job_id: str, wanted: int) -> job_messages.Job:
        """Wait until the job is in a state."""
        request = jobs.WatchJobRequest(job_id=job_id)
        call = self.jobs.WatchJob(request, timeout=SOON)
        async for message in call:
            if (
                any(e.state == wanted for e in message.events)
                and (job := await self.job(job_id)).state == wanted
            ):
                call.cancel()
                return job
        raise AssertionError(f"job {job_id} never came to state {wanted}")


def answer(prompt: prompts.Prompt, answer_id: str = "a-1", decision: Any = ACCEPT, **fields: Any) -> Any:
    """An answer to what is shown."""
    fields.setdefault("revision", prompt.revision)
    return hitl.AnswerPromptRequest(
        prompt_id=prompt.prompt_id, answer_id=answer_id, decision=decision, **fields
    )


@asynccontextmanager
async def serving(db: str, **settings: Any) -> AsyncIterator[World]:
    """A replica on a free loopback port, and a channel to it.

    A lease taken without a stream, which a test does not extend, lasts for longer than any test.
    """
    settings.setdefault("drain_grace", 0.3)
    settings.setdefault("lease_ttl", 600.0)
    settings.setdefault("replica", "r1")
    config = Config(listen="127.0.0.1:0", db=db, **settings)
    async with Service(config) as service:
        sizes = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", options=sizes) as channel:
            world = World(service, channel)
            try:
                yield world
            finally:
                await world.close()
