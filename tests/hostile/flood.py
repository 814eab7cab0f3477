"""A thousand streams that never read, beside another tenant (the victim): measures the server's memory and
the victim's calls.

`python -m tests.hostile.flood TARGET KIND STREAMS` is the hostile program. `measure` starts a server and the
hostile program as processes and returns the figures; `make flood` prints them for every kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import grpc

from askback._wire.stream_writes import StreamEnded, write
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import hitl_service_pb2_grpc, job_service_pb2_grpc, worker_service_pb2_grpc
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from askback_server.storage.migrate import upgrade
from tests.support.processes import Processes, Server

PER_CONNECTION = 90
"""Streams per connection: below the server's limit, so that no stream waits for another."""
LARGE = 400_000
"""Bytes of a prompt's body; a job's input has half as many."""
PROMPTS = 40
BASE, PER_STREAM = 224.0, 0.25
"""MiB that docs/security.md tells operators to plan for one hostile principal."""
MESSAGE = 4.0
"""Additional MiB per stream if all streams send messages of the maximum size at the same time."""
EVE = (("askback-user", "eve"), ("askback-groups", "crowd"))


async def _send(call: Any, *messages: Any) -> None:
    with contextlib.suppress(StreamEnded, asyncio.CancelledError):
        for message in messages:
            await write(call, message)


def _hello() -> hitl.ConverseRequest:
    return hitl.ConverseRequest(frames=[hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello())])


@cache
def _answers(prompt_id: str, comment: str, count: int) -> hitl.ConverseRequest:
    answer = hitl.AnswerPromptRequest(prompt_id=prompt_id, answer_id="a", decision=1, comment=comment)
    frames = [hitl.ConverseClientFrame(ref=n, answer_prompt=answer) for n in range(2, 2 + count)]
    return hitl.ConverseRequest(frames=frames)


class HostileStreams:
    """The hostile streams of one connection. Each method opens a stream, sends messages and never reads."""

    def __init__(self, channel: grpc.aio.Channel, prompt_ids: list[str], job_ids: list[str]) -> None:
        self._hitl = hitl_service_pb2_grpc.HitlServiceStub(channel)
        self._jobs = job_service_pb2_grpc.JobServiceStub(channel)
        self._workers = worker_service_pb2_grpc.WorkerServiceStub(channel)
        self._prompts = itertools.cycle(prompt_ids)
        self._job_ids = itertools.cycle(job_ids)

    async def silent(self, number: int) -> Any:
        """Open a stream without sending a hello."""
        return (self._workers.Work if number % 2 else self._hitl.Converse)(metadata=EVE)

    async def consoles(self, _: int) -> Any:
        """Send a hello, so that the server sends a view of large prompts."""
        call = self._hitl.Converse(metadata=EVE)
        await _send(call, _hello())
        return call

    async def pages(self, _: int) -> Any:
        """Request many large prompts at once."""
        call = self._hitl.Converse(metadata=EVE)
        frames = [
            hitl.ConverseClientFrame(ref=n, get_prompt=hitl.GetPromptRequest(prompt_id=next(self._prompts)))
            for n in range(2, 62)
        ]
        await _send(call, _hello(), hitl.ConverseRequest(frames=frames))
        return call

    async def refusals(self, _: int) -> Any:
        """Send messages full of frames that are refused."""
        call = self._hitl.Converse(metadata=EVE)
        await _send(call, _hello(), *[_answers("x", "", 998)] * 3)
        return call

    async def answers(self, _: int) -> Any:
        """Send large requests that wait for their replies."""
        call = self._hitl.Converse(metadata=EVE)
        await _send(call, _hello(), *[_answers(next(self._prompts), "c" * 3_900, 498)] * 2)
        return call

    async def prompts(self, _: int) -> Any:
        """Open WatchPrompts."""
        return self._hitl.WatchPrompts(hitl.WatchPromptsRequest(), metadata=EVE)

    async def jobs(self, _: int) -> Any:
        """Open WatchJobs."""
        return self._jobs.WatchJobs(jobs.WatchJobsRequest(), metadata=EVE)

    async def job(self, _: int) -> Any:
        """Open WatchJob."""
        return self._jobs.WatchJob(jobs.WatchJobRequest(job_id=next(self._job_ids)), metadata=EVE)

    async def workers(self, number: int) -> Any:
        """Lease jobs with large inputs."""
        call = self._workers.Work(metadata=EVE)
        hello = workers.WorkHello(worker_id=f"w{number}", job_types=["large"], capacity=20)
        await _send(call, workers.WorkRequest(frames=[workers.WorkClientFrame(ref=1, hello=hello)]))
        return call


KINDS = ("silent", "consoles", "pages", "refusals", "answers", "prompts", "jobs", "job", "workers")


async def attack(target: str, kind: str, streams: int) -> None:
    """Open streams of a kind, or of kinds joined by `+`, and reopen each when it ends, until killed."""
    kinds = kind.split("+")
    async with _channel(target) as first:
        stub = hitl_service_pb2_grpc.HitlServiceStub(first)
        found = await stub.ListPrompts(hitl.ListPromptsRequest(page_size=1), metadata=EVE)
        ids, page = [found.prompts[0].prompt_id], found
        while page.next_page_token:
            page = await stub.ListPrompts(
                hitl.ListPromptsRequest(page_size=1, page_token=page.next_page_token), metadata=EVE
            )
            ids += [p.prompt_id for p in page.prompts]
        job_ids = [p.job_id for p in found.prompts]
    async with contextlib.AsyncExitStack() as stack:
        open_ones: list[asyncio.Task[None]] = []
        greetings: list[Awaitable[Any]] = []
        for start in range(0, streams, PER_CONNECTION):
            channel = await stack.enter_async_context(_channel(target))
            hostile = HostileStreams(channel, ids, job_ids)
            for number in range(start, min(streams, start + PER_CONNECTION)):
                begin = getattr(hostile, kinds[number % len(kinds)])
                begun = asyncio.Event()
                greetings.append(begun.wait())
                open_ones.append(asyncio.create_task(_reopen(begin, number, begun)))
        await asyncio.gather(*greetings)
        print(json.dumps({"event": "flooded"}), flush=True)
        await asyncio.gather(*open_ones)


async def _reopen(begin: Any, number: int, begun: asyncio.Event) -> None:
    while True:
        beginning = asyncio.create_task(begin(number))
        # A stream blocks before it has sent everything if the server stops reading.
        await asyncio.wait({beginning}, timeout=5.0)
        begun.set()
        call = await beginning
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            await call.wait_for_connection()
        with contextlib.suppress(grpc.aio.AioRpcError):
            await call.code()
        await asyncio.sleep(0.5)


def _channel(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])


@dataclass
class FloodEffect:
    """The effect of a flood. Memory in MiB, times in seconds."""

    idle: float = 0.0
    peak: float = 0.0
    after: float = 0.0
    """Memory after the hostile streams had ended."""
    calls: Counter[str] = field(default_factory=Counter)
    """The victim's calls, by status code."""
    slowest: float = 0.0

    @property
    def growth(self) -> float:
        """Growth of the server's memory."""
        return self.peak - self.idle

    def __str__(self) -> str:
        calls = ", ".join(f"{count} {code}" for code, count in self.calls.items())
        return (
            f"{self.growth:6.0f} MiB above {self.idle:.0f} of an idle server, {self.after:.0f} afterwards; "
            f"calls of another: {calls}; the slowest {self.slowest:.2f} s"
        )


def memory(pid: int) -> float:
    """The resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has no memory")


def memory_bound(kind: str, streams: int) -> float:
    """The maximum growth of a server in MiB under `streams` hostile streams of one principal."""
    return BASE + (PER_STREAM + (MESSAGE if "answers" in kind else 0.0)) * streams


async def measure(
    processes: Processes, kind: str, streams: int, seconds: float, afterwards: float = 3.0
) -> FloodEffect:
    """Run a flood of a kind for `seconds` beside a victim, which works on for `afterwards` seconds."""
    url = f"sqlite+aiosqlite:///{processes.folder}/{kind}.db"
    upgrade(url)
    server = await processes.server(url, name=f"server-{kind}", log_level="WARNING")
    figures = FloodEffect()
    async with _channel(server.target) as channel:
        victim = Victim(channel, figures)
        await victim.prepare(100 if "workers" in kind else 10)
        await victim.work(0.5)
        figures.calls.clear()
        figures.slowest = 0.0
        figures.idle = figures.peak = memory(server.pid)
        hostile = processes.run(
            f"hostile-{kind}", "-m", "tests.hostile.flood", server.target, kind, str(streams)
        )
        async with _track_peak_memory(server, figures):
            working = asyncio.create_task(victim.work(600.0))
            try:
                await hostile.wait_for_event("flooded", within=120.0)
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
            await victim.work(seconds)
            assert hostile.running, hostile.log
            hostile.kill()
            await victim.work(afterwards)
        figures.after = memory(server.pid)
    server.kill()
    return figures


@asynccontextmanager
async def _track_peak_memory(server: Server, figures: FloodEffect) -> AsyncIterator[None]:
    async def watch() -> None:
        while True:
            figures.peak = max(figures.peak, memory(server.pid))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


class Victim:
    """A tenant that works while another one floods the server."""

    def __init__(self, channel: grpc.aio.Channel, figures: FloodEffect) -> None:
        self._hitl = hitl_service_pb2_grpc.HitlServiceStub(channel)
        self._jobs = job_service_pb2_grpc.JobServiceStub(channel)
        self._figures = figures
        self._metadata = (("askback-user", "ada"),)

    async def prepare(self, large_jobs: int) -> None:
        """Create large prompts that the hostile user can see, and large jobs that it can lease."""
        for _ in range(PROMPTS):
            content = prompts.PromptContent(
                kind="confirm", title="?", body="b" * LARGE, audience=prompts.Audience(groups=["crowd"])
            )
            await self._jobs.CreateJob(
                jobs.CreateJobRequest(job_type="asked", prompt=content), metadata=self._metadata
            )
        large = f'"{"x" * (LARGE // 2)}"'
        for _ in range(large_jobs):
            await self._jobs.CreateJob(
                jobs.CreateJobRequest(job_type="large", input_json=large), metadata=self._metadata
            )

    async def work(self, seconds: float) -> None:
        """Create, answer and read jobs for `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.perf_counter()
            content = prompts.PromptContent(kind="confirm", title="Go?")
            create = jobs.CreateJobRequest(job_type="victim", prompt=content)
            made = await self._count(self._jobs.CreateJob(create, metadata=self._metadata))
            if made is not None:
                answer = hitl.AnswerPromptRequest(
                    prompt_id=made.prompt.prompt_id, answer_id="a", revision=1, decision=1
                )
                await self._count(self._hitl.AnswerPrompt(answer, metadata=self._metadata))
                get = jobs.GetJobRequest(job_id=made.job.job_id)
                await self._count(self._jobs.GetJob(get, metadata=self._metadata))
            self._figures.slowest = max(self._figures.slowest, (time.perf_counter() - started) / 3)
            await asyncio.sleep(0.02)

    async def _count(self, call: Any) -> Any:
        started = time.perf_counter()
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            self._figures.calls[error.code().name] += 1
            return None
        self._figures.calls["OK"] += 1
        self._figures.slowest = max(self._figures.slowest, time.perf_counter() - started)
        return answer


async def report(kinds: list[str], streams: int, seconds: float) -> list[str]:
    """Measure and print each kind. Returns the violations."""
    wrong: list[str] = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            processes = Processes(Path(folder))
            try:
                figures = await measure(processes, kind, streams, seconds)
            finally:
                processes.end()
        print(f"{kind:9s} {figures}", flush=True)
        if set(figures.calls) != {"OK"}:
            wrong.append(f"{kind}: the victim's calls: {dict(figures.calls)}")
        maximum = memory_bound(kind, streams)
        if figures.growth > maximum:
            wrong.append(f"{kind}: the server grew by more than {maximum:.0f} MiB")
    return wrong


if __name__ == "__main__":
    asyncio.run(attack(sys.argv[1], sys.argv[2], int(sys.argv[3])))
