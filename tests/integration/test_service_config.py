"""The service config that the SDK embeds and other languages load: balancing, health checks and retries."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest

from askback._wire.channel import channel_options
from askback.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc
from askback_server.config.settings import Config
from askback_server.lifecycle import Service
from askback_server.transport.server import SERVICES
from tests.support.refusals import SOON
from tests.support.service import ServiceWorld, serving

TEXT = str(dict(channel_options())["grpc.service_config"])
CONFIG = json.loads(TEXT)
UNARY = {
    (service.full_name, method.name)
    for service in SERVICES
    for method in service.methods
    if not method.client_streaming and not method.server_streaming
}


def test_the_service_config_names_only_unary_methods() -> None:
    """A misspelt method would silently never be retried."""
    named = [(name["service"], name["method"]) for part in CONFIG["methodConfig"] for name in part["name"]]
    assert len(named) > 10
    assert set(named) <= UNARY
    assert len(set(named)) == len(named)


def test_the_channel_does_not_retry_calls_that_create_something() -> None:
    """Calls that create or lease something. The SDK retries them under a generated request id."""
    named = {name["method"] for part in CONFIG["methodConfig"] for name in part["name"]}
    assert not named & {"CreateJob", "RetryJob", "LeaseJobs"}


def test_the_service_config_has_only_keys_that_grpc_knows() -> None:
    """grpc ignores unknown keys."""
    assert set(CONFIG) == {"loadBalancingConfig", "healthCheckConfig", "methodConfig"}
    assert {key for part in CONFIG["methodConfig"] for key in part} == {"name", "retryPolicy"}
    assert CONFIG["healthCheckConfig"] == {"serviceName": ""}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [('"UNAVAILABLE"', '"UNAVAILABEL"'), ("round_robin", "robin_round"), ('"0.1s"', '"0.1"')],
)
async def test_grpc_rejects_an_invalid_service_config(lite: ServiceWorld, right: str, wrong: str) -> None:
    """It accepts ours. An unreadable config fails every call."""
    target = f"127.0.0.1:{lite.service.port}"
    for text, taken in ((TEXT, True), (TEXT.replace(right, wrong), False)):
        options = [("grpc.service_config", text), ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(target, options=options) as channel:
            call = job_service_pb2_grpc.JobServiceStub(channel).ListJobs(
                job_service_pb2.ListJobsRequest(), timeout=SOON
            )
            if taken:
                await call
            else:
                with pytest.raises(grpc.aio.AioRpcError, match="service config"):
                    await call


async def _share(stub: Any, b: ServiceWorld, calls: int = 20) -> float:
    """Create jobs through a balancing channel; returns the share that went to `b`."""

    async def count() -> int:
        return len((await b.jobs.ListJobs(job_service_pb2.ListJobsRequest(page_size=500))).jobs)

    before = await count()
    for _ in range(calls):
        await stub.CreateJob(job_service_pb2.CreateJobRequest(job_type="any"), timeout=SOON)
    return (await count() - before) / calls


async def test_calls_are_balanced_over_ready_replicas(tmp_path: Path) -> None:
    """A draining replica gets no new calls, and its drain does not wait for health watchers."""
    urls = [f"sqlite+aiosqlite:///{tmp_path / name}" for name in ("a.db", "b.db")]
    a = Service(Config(listen="127.0.0.1:0", db=urls[0], drain_wait=3, drain_grace=600))
    await a.start()
    stopping: asyncio.Task[None] | None = None
    try:
        # Each has its own database, to see where a call went.
        async with serving(urls[1]) as b:
            target = f"ipv4:127.0.0.1:{a.port},127.0.0.1:{b.service.port}"
            async with grpc.aio.insecure_channel(target, options=channel_options()) as channel:
                stub: Any = job_service_pb2_grpc.JobServiceStub(channel)
                async with asyncio.timeout(SOON):
                    while await _share(stub, b) != 0.5:
                        pass  # until both are connected
                stopping = asyncio.create_task(a.stop())
                while await _share(stub, b) != 1:
                    assert not stopping.done(), "a was not seen to leave before it left"
                assert not stopping.done()
                async with asyncio.timeout(SOON):
                    await stopping
    finally:
        await (stopping or a.stop())


class _Flaky(job_service_pb2_grpc.JobServiceServicer):
    """A service that is unavailable twice and then replies."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def GetJob(self, request: Any, context: Any) -> Any:
        return await self._third(
            context, "GetJob", job_service_pb2.GetJobResponse(job=job_pb2.Job(job_id="j"))
        )

    async def CreateJob(self, request: Any, context: Any) -> Any:
        return await self._third(context, "CreateJob", job_service_pb2.CreateJobResponse())

    async def _third(self, context: Any, method: str, answer: Any) -> Any:
        self.calls[method] += 1
        if self.calls[method] < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return answer


async def test_the_channel_retries_reads_three_times(lite: ServiceWorld) -> None:
    """GetJob is tried at most three times; CreateJob, which the config does not name, once."""
    server, flaky = grpc.aio.server(), _Flaky()
    job_service_pb2_grpc.add_JobServiceServicer_to_server(flaky, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=channel_options()) as channel:
            stub: Any = job_service_pb2_grpc.JobServiceStub(channel)
            answer = await stub.GetJob(job_service_pb2.GetJobRequest(job_id="j"), timeout=SOON)
            assert answer.job.job_id == "j"
            with pytest.raises(grpc.aio.AioRpcError, match="not now"):
                await stub.CreateJob(job_service_pb2.CreateJobRequest(job_type="any"), timeout=SOON)
    finally:
        await server.stop(None)
    assert flaky.calls == {"GetJob": 3, "CreateJob": 1}
