"""How several replicas on one PostgreSQL divide the work.

It measures the CPU of a trip whose prompt is asked at one replica and answered at another, the CPU of a trip
beside replicas without a session, and the latency to sessions of another replica.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import grpc

from askback.v1 import hitl_service_pb2, job_service_pb2, worker_service_pb2
from tests.bench import messages, servers
from tests.bench.client import PATIENCE, UnexpectedReply
from tests.bench.drive import Plan, measure
from tests.bench.full.frame import Bench
from tests.bench.full.rows import Row, Target
from tests.bench.questions import Questions
from tests.bench.report import Figures, figures, percentile
from tests.bench.streams import Stream

WARM, TURNS = 40, 200
ACROSS_WITHIN = 2.0
"""Maximum ratio of the median latencies to a session at another replica and at the same one."""
ELSEWHERE_WITHIN = 1.5
"""Maximum ratio of the CPU of a trip that is asked at one replica and answered at another, and of a trip at
one replica."""
BESIDE_WITHIN = 1.1
"""The same for a trip at one replica beside others that have no session."""
COUNTS = (2, 3)
"""Numbers of replicas that are compared with one."""

REPEATS = 3


async def replicas(bench: Bench) -> Sequence[Row]:
    """One, two and three replicas: CPU of a trip, latency to sessions of another replica. PostgreSQL only."""
    assert bench.postgres is not None
    runs: defaultdict[str, list[Figures]] = defaultdict(list)
    for repeat in range(REPEATS):
        with servers.replicas(bench.postgres, 2) as (here, there):
            runs["latency"].append(await latency(here.address, there.address))
        for count in (1, *COUNTS):
            for case in ("elsewhere", "beside") if count > 1 else ("alone",):
                with servers.replicas(bench.postgres, count) as (server, *others):
                    consoles = others[0] if case == "elsewhere" else None
                    plan = Plan(bench.seconds, alone=False, jobs=False)
                    measured = await measure(server, plan, None, others, consoles)
                    runs[f"{case} {count}"].append(figures(measured))
        bench.say(case="replicas", repeat=repeat + 1, **{name: found[-1] for name, found in runs.items()})
    rows = []
    for case, within, what in (
        ("elsewhere", ELSEWHERE_WITHIN, "asked at one, answered at another"),
        ("beside", BESIDE_WITHIN, "the others without a session"),
    ):
        by_count = {"1": runs["alone 1"]} | {f"{count}": runs[f"{case} {count}"] for count in COUNTS}
        for figure, name in (("server_cpu_us", "server"), ("db_cpu_us", "database")):
            values = {size: statistics.median(run[figure] for run in of) for size, of in by_count.items()}
            target = Target("growth", within) if name == "server" else None
            rows.append(Row(f"CPU µs a trip of the {name}, {what}", values, target))
    for what, name in (
        ("shown", "a console has the prompt"),
        ("worker", "the worker has the answer"),
        ("console", "a console has the answer"),
    ):
        values = {
            place: statistics.median(run[f"{what}_{at}_p50_ms"] for run in runs["latency"])
            for place, at in (("here", "same"), ("elsewhere", "across"))
        }
        rows.append(Row(f"ms until {name}", values, Target("growth", ACROSS_WITHIN)))
    return rows


class _LatencySetup:
    """A worker and a passive console at `here`, and a console that answers at each replica."""

    def __init__(self, here: str, there: str) -> None:
        self._channels = [grpc.aio.insecure_channel(address) for address in (here, there)]
        self._at: defaultdict[tuple[str, str], asyncio.Future[float]] = defaultdict(
            asyncio.get_running_loop().create_future
        )
        """The time of each event, by event and prompt key."""
        self._prompts: dict[str, Any] = {}
        self._streams: dict[str, Stream] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._questions = Questions()
        self._numbers = itertools.count(10)
        self._lease: Any = None

    async def open(self) -> None:
        """Open the streams and lease a job to the worker."""
        hello = hitl_service_pb2.ConverseHello()
        for name, channel in (("passive", 0), ("same", 0), ("across", 1)):
            stream = self._streams[name] = Stream(
                self._channels[channel],
                "HitlService/Converse",
                hitl_service_pb2.ConverseRequest,
                hitl_service_pb2.ConverseResponse,
            )
            stream.outbox.send(hitl_service_pb2.ConverseClientFrame(ref=1, hello=hello))
            self._tasks.append(asyncio.create_task(self._console(name, stream)))
        worker = self._streams["worker"] = Stream(
            self._channels[0],
            "WorkerService/Work",
            worker_service_pb2.WorkRequest,
            worker_service_pb2.WorkResponse,
        )
        work = worker_service_pb2.WorkHello(worker_id="w", job_types=["bench"])
        worker.outbox.send(worker_service_pb2.WorkClientFrame(ref=1, hello=work))
        self._tasks.append(asyncio.create_task(self._worker(worker)))
        create = self._channels[0].unary_unary(
            "/askback.v1.JobService/CreateJob",
            job_service_pb2.CreateJobRequest.SerializeToString,
            job_service_pb2.CreateJobResponse.FromString,
        )
        await create(job_service_pb2.CreateJobRequest(job_type="bench"), timeout=PATIENCE)
        await self._time_of("leased", "")

    async def measure_answer(self, name: str) -> dict[str, float]:
        """Ask a prompt, wait until all consoles have it, and answer with one of them. Returns the ms until
        the console at each replica gets the prompt, and the worker and the passive console the answer."""
        question, lease = self._questions.question(next(self._numbers)), self._lease
        key = question.key
        asked = time.perf_counter()
        self._streams["worker"].outbox.send(messages.ask(lease.job.job_id, lease.token, question))
        found: dict[str, float] = {}
        for console in ("passive", "same", "across"):
            found[f"shown_{console}"] = (await self._time_of(f"shown {console}", key) - asked) * 1000
        started = time.perf_counter()
        self._streams[name].outbox.send(messages.answer(self._prompts.pop(key), question))
        for what, event in (("worker", "resolved"), ("console", "closed passive")):
            found[f"{what}_{name}"] = (await self._time_of(event, key) - started) * 1000
        return found

    async def close(self) -> None:
        """Cancel the streams and close the channels."""
        for task in self._tasks:
            task.cancel()
        for stream in self._streams.values():
            stream.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            await channel.close(None)

    async def _time_of(self, what: str, key: str) -> float:
        async with asyncio.timeout(PATIENCE):
            at = await self._at[what, key]
        del self._at[what, key]
        return at

    def _note(self, what: str, key: str) -> None:
        self._at[what, key].set_result(time.perf_counter())

    async def _console(self, name: str, stream: Stream) -> None:
        keys: dict[str, str] = {}
        async for frame in stream.frames():
            if frame.WhichOneof("body") == "error":
                raise UnexpectedReply(f"an unexpected reply to a console: {frame}")
            event = frame.prompt_event
            if event.HasField("upserted"):
                prompt = event.upserted.prompt
                keys[prompt.prompt_id] = prompt.key
                self._prompts[prompt.key] = prompt
                self._note(f"shown {name}", prompt.key)
            elif event.HasField("closed") and (key := keys.pop(event.closed.prompt_id, "")):
                self._note(f"closed {name}", key)
                if name != "passive":
                    del self._at[f"closed {name}", key]

    async def _worker(self, stream: Stream) -> None:
        async for frame in stream.frames():
            match frame.WhichOneof("body"):
                case "job_leased":
                    self._lease = frame.job_leased.leased_job
                    self._note("leased", "")
                case "prompt_resolved":
                    self._note("resolved", frame.prompt_resolved.prompt.key)
                case "error" | "lease_lost":
                    raise UnexpectedReply(f"an unexpected reply to the worker: {frame}")
                case _:
                    pass


async def latency(here: str, there: str) -> Figures:
    """The times until a console at each address gets a prompt that is asked at `here`, and until a worker and
    a passive console at `here` get an answer that is given at each address."""
    setup = _LatencySetup(here, there)
    times: defaultdict[str, list[float]] = defaultdict(list)
    try:
        await setup.open()
        for number in range(WARM + TURNS):
            # In turn, so that drift affects both alike.
            name = ("same", "across")[number % 2]
            found = await setup.measure_answer(name)
            for what, took in found.items() if number >= WARM else ():
                times[what].append(took)
    finally:
        await setup.close()
    medians = {f"{name}_p50_ms": percentile(values, 50) for name, values in times.items()}
    return medians | {f"{name}_p99_ms": percentile(values, 99) for name, values in times.items()}
