"""A whole replica in this process behind real gRPC, and raw stubs that call it.

Every wait is bounded: unary calls and streams carry a gRPC deadline, and waiting for a frame fails after
`SOON`.
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
"""Seconds after which a wait fails."""
EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]
Metadata = tuple[tuple[str, str], ...]

NOBODY_ID = "00000000-0000-7000-8000-000000000000"
"""A well-formed id that does not exist."""

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
    """A prompt that asks for a decision only: ACCEPT, REVISE with a comment, or REJECT."""
    fields.setdefault("kind", "confirm")
    fields.setdefault("blocking", True)
    return prompts.PromptContent(title=title, **fields)


def form(title: str = "Which?", **fields: Any) -> prompts.PromptContent:
    """A prompt with two questions: a required integer and a text."""
    questions = [
        prompts.Question(question_id="n", title="How many?", required=True, integer=prompts.IntegerInput()),
        prompts.Question(question_id="why", title="Why?", text=prompts.TextInput()),
    ]
    return confirm(title, kind="clarify", questions=prompts.QuestionForm(questions=questions), **fields)


def audience(*users: str, groups: Sequence[str] = ()) -> prompts.Audience:
    """An audience of these users and groups."""
    return prompts.Audience(users=users, groups=groups)


@dataclass
class Refusal:
    """The content of a status, or of the error in a frame."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: dict[str, str] = field(default_factory=dict)
    retry_delay: float | None = None
    result: hitl.AnswerResult | None = None


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """The status of a call with its details. Fails unless they contain exactly one ErrorInfo."""
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
    """Like `refusal_of`, for the error in a frame."""
    assert error.reason.startswith("ERROR_REASON_"), "a FrameError without a reason"
    code = grpc.StatusCode[code_pb2.Code.Name(error.code)]
    delay = error.retry_delay.ToTimedelta().total_seconds() if error.HasField("retry_delay") else None
    violations = {v.field: v.description for v in error.violations}
    reason = error.reason.removeprefix("ERROR_REASON_")
    return Refusal(code, error.message, reason, dict(error.metadata), violations, delay)


async def refused(call: Awaitable[Any], code: str, reason: str, **metadata: str) -> Refusal:
    """Assert that the call fails with this code and reason; only the given metadata is compared."""
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
    """The name of the status code of a call."""
    try:
        async with asyncio.timeout(SOON):
            await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


def check(found: Refusal, code: str, reason: str, **metadata: str) -> None:
    """Assert that a refusal has this code, reason and metadata."""
    assert (found.code.name, found.reason) == (code, reason), found
    assert found.message
    assert {k: found.metadata.get(k) for k in metadata} == metadata
    if reason in ("INVALID_FIELD", "ANSWER_INVALID"):
        assert found.violations, "which field was wrong?"


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class _Stub:
    """A stub that adds the caller's metadata and a deadline to every call."""

    def __init__(self, stub: Any, metadata: Metadata) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stub, name)

        def call(*request: Any, timeout: float = 3 * SOON) -> Any:
            return method(*request, metadata=self._metadata, timeout=timeout)

        return call


class Stream:
    """The client's side of a stream: sends frames, and returns received frames in order."""

    request: type[Any]
    probe: Callable[[int], Any]
    """A frame that the server must refuse with NOT_FOUND: used for a round trip."""
    pushed_by_time: frozenset[str] = frozenset({"heartbeat"})

    def __init__(self, call: Any) -> None:
        self.call = call
        self.heartbeats: list[Any] = []
        self.messages = 0
        self._in: asyncio.Queue[Any] = asyncio.Queue()
        self._refs = itertools.count(1000)
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        # A cancelled read would cancel the call, so one task reads, and timeouts apply to the queue only.
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
        """Send one message with these frames."""
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
        """The next frame that is not a heartbeat. Raises AioRpcError or EOFError at the end."""
        while True:
            found = await self.any_frame()
            if found.WhichOneof("body") not in self.pushed_by_time:
                return found
            self.heartbeats.append(found.heartbeat)

    async def expect(self, body: str) -> Any:
        """The body of the next frame, which must be of this kind."""
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
        """Send one frame, and assert that it is refused with this code and reason."""
        ref = next(self._refs)
        await self.send(self._frame(ref, **body))
        frame = await self.frame()
        assert frame.ref == ref, frame
        assert frame.WhichOneof("body") == "error", frame
        found = frame_refusal(frame.error)
        check(found, code, reason)
        return found

    async def nothing_more(self) -> None:
        """Assert, with a round trip, that no event is pending: its reply must be the next frame."""
        ref = next(self._refs)
        await self.send(self._probe(ref))
        frame = await self.frame()
        assert frame.ref == ref, frame
        assert self._in.empty() or self._in.qsize() == len(self.heartbeats_waiting()), self._in

    def heartbeats_waiting(self) -> list[Any]:
        """The heartbeats among the received frames that have not been read."""
        waiting = list(self._in._queue)  # type: ignore[attr-defined]
        return [f for f in waiting if f is not None and f.WhichOneof("body") in self.pushed_by_time]

    def _frame(self, ref: int, **body: Any) -> Any:
        raise NotImplementedError

    def _probe(self, ref: int) -> Any:
        raise NotImplementedError

    async def ended(self) -> Refusal | None:
        """Wait for the end of the stream. Returns the status if it is not OK."""
        try:
            while True:
                await self.frame()
        except EOFError:
            return None
        except grpc.aio.AioRpcError as error:
            return refusal_of(error)

    async def no_more_requests(self) -> None:
        """Half-close the stream."""
        async with asyncio.timeout(SOON):
            await self.call.done_writing()

    async def aclose(self) -> None:
        """Cancel the stream, like a crash of the client."""
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
        """Send a hello and return the welcome."""
        await self.send(hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello(**hello)))
        return await self.expect("welcome")

    async def event(self, kind: str) -> Any:
        """The next prompt event, which must be of this kind."""
        event = await self.expect("prompt_event")
        assert event.WhichOneof("event") == kind, event
        return getattr(event, kind)

    async def snapshot(self) -> tuple[list[Any], Any]:
        """Read prompts up to `caught_up`. Returns both."""
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
        """The resume token of a heartbeat sent after all events so far."""
        await self.nothing_more()
        seen = len(self.heartbeats)
        while len(self.heartbeats) < seen + 2:
            found = await self.any_frame()
            assert found.WhichOneof("body") == "heartbeat", found
            self.heartbeats.append(found.heartbeat)
        return str(self.heartbeats[-1].resume_token)

    async def credit(self, count: int) -> None:
        """Grant credit for `count` prompts."""
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
        """Send a hello and return the welcome."""
        hello.setdefault("worker_id", "w")
        body = workers.WorkHello(job_types=job_types or ("t",), **hello)
        await self.send(workers.WorkClientFrame(ref=1, hello=body))
        welcome = await self.expect("welcome")
        self.session_id, self.secret = welcome.session_id, welcome.session_secret
        return welcome

    async def leased(self) -> Any:
        """The leased job of the next frame, which must carry one."""
        return (await self.expect("job_leased")).leased_job

    async def lose(self) -> None:
        """Crash without reconnecting."""
        await self.aclose()


class Caller:
    """Raw stubs that call as one principal."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Metadata) -> None:
        self.jobs: Any = _Stub(job_service_pb2_grpc.JobServiceStub(channel), metadata)
        self.workers: Any = _Stub(worker_service_pb2_grpc.WorkerServiceStub(channel), metadata)
        self.hitl: Any = _Stub(hitl_service_pb2_grpc.HitlServiceStub(channel), metadata)
        self.access: Any = _Stub(access_service_pb2_grpc.AccessServiceStub(channel), metadata)


class World(Caller):
    """A running service and its callers; its own stubs call as `ada`."""

    def __init__(self, service: Service, channel: grpc.aio.Channel) -> None:
        super().__init__(channel, (("askback-user", "ada"),))
        self.service = service
        self.channel = channel
        self._streams: list[Stream] = []

    def as_user(self, user: str, groups: str = "") -> Caller:
        """A caller with this user name (authentication is off)."""
        return Caller(self.channel, (("askback-user", user), ("askback-groups", groups)))

    def with_token(self, token: str) -> Caller:
        """A caller that authenticates with a token."""
        return Caller(self.channel, (("authorization", f"Bearer {token}"),) if token else ())

    def console(self, caller: Caller | None = None) -> Console:
        """Open a Converse stream."""
        stream = Console((caller or self).hitl.Converse())
        self._streams.append(stream)
        return stream

    def worker(self, caller: Caller | None = None) -> Worker:
        """Open a Work stream."""
        stream = Worker((caller or self).workers.Work())
        self._streams.append(stream)
        return stream

    async def settled(self) -> None:
        """Wait until the feed has read everything committed so far, so that resume tokens are up to date."""
        replica = self.service.replica
        # Includes events that are held back by open transactions, for example those of other replicas.
        position, head = replica.feed.position, None
        while head != position:
            head = position
            _, position = await replica.log.after(head, 10_000, settled=False)
        await until(lambda: replica.feed.position >= head)

    def stopped(self) -> None:
        """Note that the test has stopped the service itself: do not stop it again."""

        async def nothing() -> None:
            pass

        self.service.stop = nothing  # type: ignore[method-assign]

    async def close(self) -> None:
        """Cancel the streams that the test left open."""
        for stream in self._streams:
            await stream.aclose()

    async def create(self, job_type: str = "t", **fields: Any) -> job_messages.Job:
        """Create a job."""
        created = await self.jobs.CreateJob(jobs.CreateJobRequest(job_type=job_type, **fields))
        job: job_messages.Job = created.job
        return job

    async def asked(self, content: prompts.PromptContent | None = None, **fields: Any) -> prompts.Prompt:
        """Create a job that consists of one prompt, without a worker. Returns the prompt."""
        fields.setdefault("job_type", "t")
        request = jobs.CreateJobRequest(prompt=content or confirm(), **fields)
        prompt: prompts.Prompt = (await self.jobs.CreateJob(request)).prompt
        return prompt

    async def job(self, job_id: str) -> job_messages.Job:
        """The job as it is stored in the database."""
        request = jobs.GetJobRequest(job_id=job_id, consistency=jobs.CONSISTENCY_STRONG)
        job: job_messages.Job = (await self.jobs.GetJob(request)).job
        return job

    async def prompt(self, prompt_id: str) -> prompts.Prompt:
        """The current prompt."""
        prompt: prompts.Prompt = (
            await self.hitl.GetPrompt(hitl.GetPromptRequest(prompt_id=prompt_id))
        ).prompt
        return prompt

    async def lease(self, *job_types: str, wait: float = SOON, **fields: Any) -> workers.LeaseJobsResponse:
        """Lease jobs for a worker without a stream."""
        fields.setdefault("worker_id", "w")
        request = workers.LeaseJobsRequest(job_types=job_types or ("t",), **fields)
        if wait:
            request.wait.CopyFrom(seconds(wait))
        response: workers.LeaseJobsResponse = await self.workers.LeaseJobs(request)
        return response

    async def held(self, job_type: str = "t", **fields: Any) -> workers.LeasedJob:
        """Create a job and lease it for a worker without a stream."""
        job = await self.create(job_type, **fields)
        [leased] = (await self.lease(job_type)).jobs
        assert leased.job.job_id == job.job_id
        return leased

    async def ask(self, lease: workers.LeasedJob, key: str, content: Any = None, **fields: Any) -> Any:
        """Ask a prompt for the leased job. Returns the prompt."""
        request = workers.AskPromptRequest(
            job_id=lease.job.job_id, token=lease.token, key=key, content=content or confirm(), **fields
        )
        return (await self.workers.AskPrompt(request)).prompt

    async def amended(self, lease: workers.LeasedJob, key: str, title: str, **fields: Any) -> Any:
        """Ask again under the same key, with another title."""
        return await self.ask(lease, key, confirm(title, **fields))

    async def state(self, job_id: str, wanted: int) -> job_messages.Job:
        """Wait until the job is in the state `wanted`."""
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
    """An answer to the given revision of a prompt."""
    fields.setdefault("revision", prompt.revision)
    return hitl.AnswerPromptRequest(
        prompt_id=prompt.prompt_id, answer_id=answer_id, decision=decision, **fields
    )


@asynccontextmanager
async def serving(db: str, **settings: Any) -> AsyncIterator[World]:
    """Run a replica on a free loopback port, and open a channel to it.

    Leases of workers without a stream, which tests do not extend, outlast every test.
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
