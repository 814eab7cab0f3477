"""A server that runs out of file descriptors keeps serving connected clients, and recovers."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from pathlib import Path

import grpc
import pytest

from askback._metrics import exposition
from askback.v1 import job_service_pb2 as jobs
from askback.v1.job_service_pb2_grpc import JobServiceStub
from tests.support.processes import Processes, eventually

LIMIT = 128


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_a_flood_of_connections_does_not_affect_connected_clients(processes: Processes) -> None:
    server = await processes.server(
        f"sqlite+aiosqlite:///{processes.folder}/a.db", metrics_listen="127.0.0.1:0"
    )
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.target, options=options) as channel:
        victim = JobServiceStub(channel)
        request = jobs.CreateJobRequest(job_type="t")
        await victim.CreateJob(request)
        flood = [socket.socket() for _ in range(2 * LIMIT)]
        for one in flood:
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(("127.0.0.1", server.port))
        await eventually(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) >= LIMIT, "there are none left")
        for _ in range(20):
            await victim.CreateJob(request, timeout=10)
        while "file descriptors run out" not in server.log:
            await victim.CreateJob(request, timeout=10)
        # The flood holds its ends open, but the server closes connections that never send a request.
        async with grpc.aio.insecure_channel(server.target, options=options) as late:
            await JobServiceStub(late).CreateJob(request, timeout=60, wait_for_ready=True)
        for one in flood:
            one.close()
        while "enough file descriptors are free again" not in server.log:
            await victim.CreateJob(request, timeout=10)
    # Once each time, not once a second: it may end and come back while connections are refused.
    assert 1 <= server.log.count("file descriptors run out") <= 1 + server.log.count("are free again")
    # A server that was not forked has gRPC's own log lines turned off.
    ignored = (
        "posix_engine_listener",
        "askback.server.events:",
    )  # one line for each event of the victim's jobs
    lines = [line for line in server.log.splitlines() if not any(word in line for word in ignored)]
    assert len(lines) < 10, server.log


def test_the_metrics_port_does_not_spin_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    monkeypatch.setattr(exposition.time, "sleep", paused.append)

    def accept() -> None:
        raise OSError(errno.EMFILE, "too many open files")

    with pytest.raises(OSError, match="too many open files"):
        exposition._pausing(accept)()
    assert paused == [exposition.PAUSE_SECONDS]
