"""The ports for health and metrics while the service starts, runs, drains and has stopped."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from askback._wire.stream_writes import StreamEnded, write
from askback.v1 import job_service_pb2 as jpb
from askback_server.transport.server import LIVENESS
from tests.support.authority import Authority
from tests.support.refusals import SOON, outcome
from tests.support.service import Caller, serving

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
PORTS = {"health_listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0"}


@asynccontextmanager
async def health(port: int) -> AsyncIterator[Any]:
    """The health checks of a port over a separate connection."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield health_pb2_grpc.HealthStub(channel)


async def status(port: int, name: str = "") -> int:
    """As kubelet does: with a new connection each time."""
    async with health(port) as stub:
        found: int = (await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=SOON)).status
        return found


async def ready_metric(port: int) -> float:
    """The sample of `askback_ready`."""

    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SOON) as response:
            text: str = response.read().decode()
            return text

    text = await asyncio.to_thread(read)
    [line] = [line for line in text.splitlines() if line.startswith("askback_ready ")]
    return float(line.split()[1])


async def test_probes_need_neither_tls_nor_tokens(lite_url: str, tmp_path: Path) -> None:
    authority = Authority()
    authority.server().put(tmp_path)
    files = {"tls_cert": str(tmp_path / "tls.crt"), "tls_key": str(tmp_path / "tls.key")}
    tokens = tmp_path / "tokens.toml"
    entry = 'subject = "a"\nroles = ["admin"]\nnamespaces = ["*"]\n'
    tokens.write_text(f'[[tokens]]\nsha256 = "{"0" * 64}"\n{entry}')
    async with serving(lite_url, auth=str(tokens), **files, **PORTS) as world:
        for name in ("", "askback.v1.JobService", "askback.v1.HitlService", LIVENESS):
            assert await status(world.service.health_port, name) == SERVING
        assert await ready_metric(world.service.metrics_port) == 1


async def test_the_health_port_serves_nothing_else(lite_url: str) -> None:
    async with serving(lite_url, **PORTS) as world:
        port = world.service.health_port
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await outcome(Caller(channel, ()).jobs.ListJobs(jpb.ListJobsRequest())) == "UNIMPLEMENTED"
            call: Any = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(timeout=SOON)
            with suppress(StreamEnded):  # it may be refused already
                await write(call, reflection_pb2.ServerReflectionRequest(list_services=""))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_draining_replica_is_not_ready_but_alive(lite_url: str) -> None:
    async with serving(lite_url, drain_grace=3 * SOON, **PORTS) as world:
        service = world.service
        port, metrics = service.health_port, service.metrics_port
        console = world.console()
        await console.hello()
        await console.snapshot()
        async with health(port) as stub:
            watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=3 * SOON)
            assert (await watch.read()).status == SERVING
            stop = asyncio.create_task(service.stop())
            assert (await watch.read()).status == NOT_SERVING
            # The console was asked to leave but stays, so the drain waits for it.
            await console.expect("go_away")
            for name in ("", "askback.v1.JobService"):
                assert await status(port, name) == NOT_SERVING
            assert await status(port, LIVENESS) == SERVING
            assert await ready_metric(metrics) == 0
            assert not stop.done()
            await console.no_more_requests()
            async with asyncio.timeout(SOON):
                await stop
        world.mark_stopped()
        async with health(port) as stub:
            assert await outcome(stub.Check(health_pb2.HealthCheckRequest(), timeout=1)) == "UNAVAILABLE"
        with pytest.raises(urllib.error.URLError):
            await ready_metric(metrics)


async def test_the_operator_ports_answer_until_the_drain_has_ended(lite_url: str) -> None:
    """Also after the last call: the ports are closed last."""
    async with serving(lite_url, **PORTS) as world:
        service = world.service
        engine, gate, drained = service.replica.engine, asyncio.Event(), service.replica.engine.drain

        async def drain() -> None:
            reached.set()
            await gate.wait()
            await drained()

        reached = asyncio.Event()
        engine.drain = drain  # type: ignore[method-assign]
        stop = asyncio.create_task(service.stop())
        async with asyncio.timeout(SOON):
            await reached.wait()
        assert await status(service.health_port) == NOT_SERVING
        assert await ready_metric(service.metrics_port) == 0
        gate.set()
        async with asyncio.timeout(SOON):
            await stop
        world.mark_stopped()


@pytest.mark.parametrize("which", ["health_listen", "metrics_listen"])
async def test_a_port_in_use_is_refused_at_the_start(lite_url: str, which: str) -> None:
    async with serving(lite_url, **PORTS) as world:
        other = {**PORTS, which: f"127.0.0.1:{getattr(world.service, which.replace('listen', 'port'))}"}
        with pytest.raises((RuntimeError, OSError), match=other[which]):
            async with serving(f"{lite_url}2", **other):
                pass
        # The first replica is not affected.
        assert await status(world.service.health_port) == SERVING
        assert await ready_metric(world.service.metrics_port) == 1


async def test_without_the_setting_no_second_port_is_open(lite_url: str) -> None:
    async with serving(lite_url) as world:
        assert world.service.health_port == 0
        server = world.service._server
        assert server is not None
        assert server._health_server is None
