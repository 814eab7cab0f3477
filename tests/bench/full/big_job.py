"""What a step and a question cost in a job that has many."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import hitl_service_pb2_grpc, job_service_pb2_grpc
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as w
from tests.bench import messages
from tests.bench.full.frame import Bench
from tests.bench.full.rows import Row, Target
from tests.bench.full.viewers import Clients
from tests.bench.full.workers import RawWorker
from tests.bench.processes import cpu
from tests.bench.servers import RunningServer
from tests.support.requests import RESPOND, answer

IN_FLIGHT = 16
MEASURED = 200
"""Questions or steps of a measurement."""
VALUE_JSON = '"' + "v" * 1_000 + '"'

Figures = dict[str, dict[str, float]]


class _Setup:
    """A worker that holds jobs, and a person who answers."""

    def __init__(self, server: RunningServer, clients: Clients) -> None:
        self._server = server
        self._leases: asyncio.Queue[Any] = asyncio.Queue()
        self.worker = RawWorker("w", ["big"], 10, on_lease=lambda _, leased: self._leases.put_nowait(leased))
        self._jobs = job_service_pb2_grpc.JobServiceStub(clients.channels[0])
        self._hitl = hitl_service_pb2_grpc.HitlServiceStub(clients.channels[0])
        self._content = messages.content("form")

    async def new_job(self) -> Any:
        """A job that the worker holds."""
        await self._jobs.CreateJob(jobs.CreateJobRequest(job_type="big"))
        return await self._leases.get()

    async def ask(self, leased: Any, number: int) -> float:
        """Ask a prompt, answer it and acknowledge the answer. Returns the ms of the question."""
        self._content.body = f"{messages.BODY} ({number})"
        own = {"job_id": leased.job.job_id, "token": leased.token}
        request = w.AskPromptRequest(key=f"{number}", content=self._content, **own)
        started = time.perf_counter()
        reply = await self.worker.request(ask_prompt=request)
        took = time.perf_counter() - started
        prompt = reply.ask_prompt.prompt
        given = answer(prompt, "a", RESPOND, values_json=messages.VALUES_JSON)
        done: hitl.AnswerPromptResponse = await self._hitl.AnswerPrompt(given)
        assert done.result.status
        acknowledged = w.AcknowledgePromptsRequest(prompt_ids=[prompt.prompt_id], **own)
        await self.worker.request(acknowledge_prompts=acknowledged)
        return 1000 * took

    async def save(self, leased: Any, number: int) -> float:
        """Save a checkpoint of 1 KB. Returns its ms."""
        request = w.SaveCheckpointRequest(
            job_id=leased.job.job_id, token=leased.token, key=f"{number}", value_json=VALUE_JSON
        )
        started = time.perf_counter()
        await self.worker.request(save_checkpoint=request)
        return 1000 * (time.perf_counter() - started)

    async def many(self, operation: Any, leased: Any, numbers: range) -> None:
        """Do an operation with each of these numbers, some at a time."""
        left = iter(numbers)

        async def lane() -> None:
            for number in left:
                await operation(leased, number)

        await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))

    async def measure(self, operation: Any, leased: Any, first: int) -> tuple[float, float]:
        """The median ms of an operation, one at a time, and the CPU µs of server and database of each."""
        pids = [pid for pid in (self._server.pid, self._server.db_pid) if pid]
        before = sum(cpu(*pids))
        times = [await operation(leased, number) for number in range(first, first + MEASURED)]
        return statistics.median(times), (sum(cpu(*pids)) - before) / MEASURED


@asynccontextmanager
async def _setup(bench: Bench) -> AsyncIterator[_Setup]:
    with bench.database() as url, bench.server(url) as server:
        async with Clients(server) as clients:
            setup = _Setup(server, clients)
            working = asyncio.create_task(setup.worker.run(clients.channels[0]))
            try:
                await setup.worker.is_welcome.wait()
                yield setup
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)


async def asks(bench: Bench) -> Sequence[Row]:
    """A question in a job with none, 1,000 and 10,000 prompts."""
    sizes = {"0": 0, **bench.sizes(1_000, 10_000)}
    found = await _grow(bench, "ask", sizes)
    ms, us = "ms to ask: median", "CPU µs to ask, answer and acknowledge"
    return [Row(ms, found["ms"], Target("growth", 1.2)), Row(us, found["us"], Target("growth", 1.2))]


async def steps(bench: Bench) -> Sequence[Row]:
    """A step (a checkpoint of 1 KB) in a job with none, 500 and 5,000 steps."""
    found = await _grow(bench, "save", {"0": 0, **bench.sizes(500, 5_000)})
    ms, us = "ms to save: median", "CPU µs to save"
    return [Row(ms, found["ms"], Target("growth", 1.2)), Row(us, found["us"], Target("growth", 1.2))]


async def _grow(bench: Bench, operation: str, sizes: dict[str, int]) -> Figures:
    found: Figures = defaultdict(dict)
    async with _setup(bench) as setup:
        work = getattr(setup, operation)
        warm = await setup.new_job()
        await setup.measure(work, warm, 0)
        leased, done = await setup.new_job(), 0
        for name, count in sizes.items():
            # The measured ones are the last of this number, which is a limit for questions.
            await setup.many(work, leased, range(done, count - MEASURED))
            done = max(done, count - MEASURED)
            found["ms"][name], found["us"][name] = await setup.measure(work, leased, done)
            done += MEASURED
            bench.say(case=operation, size=count, ms=found["ms"][name], cpu_us=found["us"][name])
    return found
