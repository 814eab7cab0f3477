"""Behind a load balancer of connections, a new replica receives streams as they reach their maximum age."""

import asyncio
from typing import Any

import pytest

from askback import Client, Event, Job, Run, Worker
from askback.v1 import job_pb2
from tests.support.balancer import balance
from tests.support.service import ServiceWorld, serving
from tests.support.waiting import until

METHODS = [
    f"/askback.v1.{name}" for name in ("WorkerService/Work", "HitlService/Converse", "JobService/WatchJob")
]


def open_streams(world: ServiceWorld) -> list[int]:
    """The number of streams of each kind at a replica."""
    counts = world.service._server.calls.streams.by_method  # type: ignore[union-attr]
    return [counts[method] for method in METHODS]


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_streams_reach_a_new_replica_without_loss(migrated_db_url: str) -> None:
    """A worker with jobs, a console and watchers start at the only replica. Then another one starts, and the
    first accepts no new connections.
    """
    settings: dict[str, Any] = {"stream_age": 3.0, "heartbeat": 0.5}
    ports: list[int] = []
    async with serving(migrated_db_url, replica="old", **settings) as old, balance(ports) as target:
        ports.append(old.service.port)
        worker, attempts, asked = Worker(target, user="w"), list[str](), list[str]()
        moved = asyncio.Event()

        @worker.job("hold")
        async def hold(job: Job) -> str:
            attempts.append(job.job_id)
            verdict = await job.confirm("Go on?", key="go")
            await moved.wait()  # the job runs until the worker is at the other replica
            return "done" if verdict else "not"

        seen: dict[str, list[Event]] = {}

        async def follow(run: Run[Any]) -> None:
            async for event in run.watch():
                seen.setdefault(run.job_id, []).append(event)

        async with Client(target, user="boss") as boss, worker, boss.console(user="ana") as desk:

            async def answer() -> None:
                async for prompt in desk.prompts():
                    asked.append(prompt.prompt_id)
                    await prompt.approve()

            answering = asyncio.create_task(answer())
            async with asyncio.timeout(60):
                runs = [await boss.start("hold", {}) for _ in range(6)]
                watching = [asyncio.create_task(follow(run)) for run in runs]
                await until(lambda: all(open_streams(old)))
                async with serving(migrated_db_url, replica="new", **settings) as new:
                    ports[:] = [new.service.port]
                    while not all(open_streams(new)):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                    runs.append(await boss.start("hold", {}))
                    watching.append(asyncio.create_task(follow(runs[-1])))
                    while any(open_streams(old)):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                    moved.set()
                    assert [await run.result() for run in runs] == ["done"] * len(runs)
                    await asyncio.gather(*watching)
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        assert sorted(attempts) == sorted(run.job_id for run in runs), "a job was run twice"
        assert len(set(asked)) == len(asked) == len(runs), "a prompt was not shown, or twice"
        for run in runs:
            events = seen[run.job_id]
            assert [e.seq for e in events] == list(range(1, len(events) + 1))
            assert events[-1].is_last
        for job_id in attempts:
            job = await old.job(job_id)
            assert (job.state, job.attempt) == (job_pb2.JOB_STATE_COMPLETED, 1), "a lease was lost"
