"""A whole replica in this process behind real gRPC, and raw stubs that call it.

Every wait is bounded: unary calls and streams carry a gRPC deadline, and waiting for a frame fails after
`SOON`.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from askback.v1 import (
    access_service_pb2_grpc,
    hitl_service_pb2_grpc,
    job_service_pb2_grpc,
    policy_service_pb2_grpc,
    worker_service_pb2_grpc,
)
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2 as job_messages
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from askback_server.config.settings import Config
from askback_server.feed.tokens import SIGNATURE_BYTES
from askback_server.lifecycle import Service
from askback_server.ports.storage import Position
from tests.support.refusals import SOON
from tests.support.requests import confirm, seconds
from tests.support.streams import Console, Stream, Worker
from tests.support.waiting import until

Metadata = tuple[tuple[str, str], ...]
SHORT_TTL = 3.0
"""The lifetime of worker sessions in seconds, for tests of their expiry: long enough for the calls that come
before it, and for a receipt within a third of it, while other tests use the processor."""


def position_of(token: str) -> Position:
    """The position in a resume token, which is opaque to clients; the first one without a token."""
    if not token:
        return Position()
    signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    _, xid, id, *_ = signed[SIGNATURE_BYTES:].decode().split(".")
    return Position(int(xid), int(id))


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


class Caller:
    """Raw stubs that call as one principal."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Metadata) -> None:
        self.jobs: Any = _Stub(job_service_pb2_grpc.JobServiceStub(channel), metadata)
        self.workers: Any = _Stub(worker_service_pb2_grpc.WorkerServiceStub(channel), metadata)
        self.hitl: Any = _Stub(hitl_service_pb2_grpc.HitlServiceStub(channel), metadata)
        self.access: Any = _Stub(access_service_pb2_grpc.AccessServiceStub(channel), metadata)
        self.policies: Any = _Stub(policy_service_pb2_grpc.PolicyServiceStub(channel), metadata)


class ServiceWorld(Caller):
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

    async def catch_up(self) -> Position:
        """Wait until the feed has read everything committed so far, and return the position that it reached.

        Tokens that are on their way to a client may be older: wait for one with `position_of` at or after it.
        """
        replica = self.service.replica
        # Includes events that are held back by open transactions, for example those of other replicas.
        position, head = replica.feed.position, None
        while head != position:
            head = position
            _, position = await replica.log.after(head, 10_000, settled=False)
        await until(lambda: replica.feed.position >= head)
        return position

    def mark_stopped(self) -> None:
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

    async def create_prompt(
        self, content: prompts.PromptContent | None = None, **fields: Any
    ) -> prompts.Prompt:
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

    async def lease_new_job(self, job_type: str = "t", **fields: Any) -> workers.LeasedJob:
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

    async def amend(self, lease: workers.LeasedJob, key: str, title: str, **fields: Any) -> Any:
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


@asynccontextmanager
async def serving(db: str, **settings: Any) -> AsyncIterator[ServiceWorld]:
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
            world = ServiceWorld(service, channel)
            try:
                yield world
            finally:
                await world.close()
