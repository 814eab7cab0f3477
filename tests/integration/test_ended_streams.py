"""The memory of an ended stream is freed without the garbage collector, which runs so rarely that a flood of
streams would fill the memory first.
"""

import gc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import hitl_service_pb2_grpc, job_service_pb2_grpc, worker_service_pb2_grpc
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain.errors import LimitExceeded
from askback_server.sessions.converse import ConverseSession
from askback_server.sessions.jobs_follower import JobsFollower, JobsUpdate
from askback_server.sessions.memory_budget import Account
from askback_server.sessions.prompt_follower import PromptFollower
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.watch import Watch
from askback_server.sessions.work import WorkSession
from askback_server.transport.open_calls import OpenCall, StreamContext
from tests.support.requests import confirm
from tests.support.service import ServiceWorld
from tests.support.waiting import until

HELD = (
    Account,
    ConverseSession,
    JobsFollower,
    JobsUpdate,
    OpenCall,
    PromptFollower,
    PromptView,
    StreamContext,
    Watch,
    WorkSession,
)
"""Classes of the objects that make up a stream."""
EVE = (("askback-user", "eve"),)


def _live_objects() -> list[str]:
    return [type(o).__name__ for o in gc.get_objects() if isinstance(o, HELD)]


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Disable the garbage collector, so that only reference counts free memory."""
    gc.collect()
    gc.freeze()  # `_live_objects` then sees only objects of this test, not those of all modules
    gc.disable()
    yield
    gc.enable()


async def _open(channel: grpc.aio.Channel, kind: str, job_id: str) -> Any:
    """A stream of this kind that has received something."""
    if kind == "Converse":
        hello = hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello())
        wrong = hitl.ConverseClientFrame(ref=2, answer_prompt=hitl.AnswerPromptRequest(prompt_id="x"))
        call: Any = hitl_service_pb2_grpc.HitlServiceStub(channel).Converse(metadata=EVE)
        await call.write(hitl.ConverseRequest(frames=[hello, wrong]))
    elif kind == "Work":
        work = workers.WorkHello(worker_id="w", job_types=["t"], capacity=5)
        call = worker_service_pb2_grpc.WorkerServiceStub(channel).Work(metadata=EVE)
        await call.write(workers.WorkRequest(frames=[workers.WorkClientFrame(ref=1, hello=work)]))
    elif kind == "WatchPrompts":
        stub = hitl_service_pb2_grpc.HitlServiceStub(channel)
        call = stub.WatchPrompts(hitl.WatchPromptsRequest(), metadata=EVE)
    elif kind == "WatchJobs":
        watch = job_service_pb2_grpc.JobServiceStub(channel)
        call = watch.WatchJobs(jobs.WatchJobsRequest(), metadata=EVE)
    else:
        watch = job_service_pb2_grpc.JobServiceStub(channel)
        call = watch.WatchJob(jobs.WatchJobRequest(job_id=job_id), metadata=EVE)
    await call.read()
    return call


async def _read_to_the_end(call: Any) -> None:
    while await call.read():
        pass


async def test_an_ended_stream_is_freed_without_the_garbage_collector(
    lite: ServiceWorld, no_collector: None
) -> None:
    """For each way in which a stream ends: by its client, with its connection, or by the server."""
    created = await lite.jobs.CreateJob(jobs.CreateJobRequest(job_type="t", prompt=confirm()))
    await lite.jobs.CreateJob(jobs.CreateJobRequest(job_type="t"))
    streams = lite.service._server.calls.streams  # type: ignore[union-attr]
    options = [("grpc.use_local_subchannel_pool", 1)]
    for kind in ("Converse", "Work", "WatchPrompts", "WatchJobs", "WatchJob"):
        for end in ("cancelled", "disconnected", "dropped"):
            address = f"127.0.0.1:{lite.service.port}"
            async with grpc.aio.insecure_channel(address, options=options) as channel:
                call = await _open(channel, kind, created.job.job_id)
                assert len(_live_objects()) >= 4
                if end == "cancelled":
                    call.cancel()
                elif end == "dropped":
                    for opened in tuple(streams._open):
                        opened.end(LimitExceeded("too much", limit="unsent_bytes_in_all", value=1))
                        del opened
                    with pytest.raises(grpc.aio.AioRpcError):
                        await _read_to_the_end(call)
            await until(lambda: not streams.total)
            try:
                await until(lambda: not _live_objects())
            except TimeoutError:
                raise AssertionError(f"{kind}, {end}: {Counter(_live_objects())} are left") from None
