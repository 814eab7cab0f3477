"""A replica that shuts down asks its streams to move, a few at a time and in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.sessions import drain
from askback_server.sessions.drain import drain_streams
from tests.integration.test_converse_view import Watch
from tests.support.refusals import SOON, refusal_of
from tests.support.requests import answer, confirm
from tests.support.service import serving
from tests.support.streams import EOF

LONG = 600.0
"""A grace longer than any test."""


@dataclass(eq=False)
class Stream:
    """A stream that leaves when asked, unless it is stubborn."""

    crowd: set[Any]
    stubborn: bool = False
    busy: bool = False
    told: list[float] = field(default_factory=list)
    dismissed: bool = False

    def go_away(self, reason: str, after: float) -> None:
        assert reason
        assert 0 < after <= LONG + drain.STREAMS_PER_SECOND
        self.told.append(asyncio.get_running_loop().time())
        if not self.stubborn:
            self.crowd.discard(self)

    def dismiss(self) -> None:
        self.dismissed = True
        self.crowd.discard(self)


def crowd_of(number: int, **fields: Any) -> tuple[set[Any], list[Stream]]:
    crowd: set[Any] = set()
    streams = [Stream(crowd, **fields) for _ in range(number)]
    crowd.update(streams)
    return crowd, streams


async def test_drain_asks_a_few_streams_at_a_time() -> None:
    crowd, streams = crowd_of(100)
    async with asyncio.timeout(SOON):
        await drain_streams(crowd, 0.5, LONG)
    assert not crowd
    assert all(len(stream.told) == 1 for stream in streams)
    times = sorted(stream.told[0] for stream in streams)
    assert times[-1] - times[0] > 0.25
    assert max(times.count(time) for time in times) < 100
    order = sorted(range(100), key=lambda n: streams[n].told[0])
    assert order != list(range(100)), "those who came first would always go first"


async def test_drain_of_few_streams_asks_all_at_once() -> None:
    async with asyncio.timeout(SOON):
        await drain_streams(set(), LONG, LONG)
        crowd, _ = crowd_of(3)
        await drain_streams(crowd, LONG, LONG)


async def test_drain_ends_idle_streams_of_clients_that_cannot_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drain, "MOVE_SECONDS", 0.1)
    crowd, [idle, busy] = crowd_of(2, stubborn=True)
    busy.busy = True
    seeing = asyncio.create_task(drain_streams(crowd, 0, LONG))
    late = Stream(crowd, stubborn=True)
    crowd.add(late)
    async with asyncio.timeout(SOON):
        while crowd != {busy}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (idle.dismissed, busy.dismissed, late.dismissed) == (True, False, True)
    assert not seeing.done()
    busy.busy = False
    async with asyncio.timeout(SOON):
        await seeing
    assert busy.dismissed


async def test_drain_stops_waiting_after_its_grace() -> None:
    crowd, [busy] = crowd_of(1, stubborn=True, busy=True)
    async with asyncio.timeout(SOON):
        await drain_streams(crowd, 0, 0.1)
    assert crowd == {busy}


async def end_of(call: Any) -> grpc.aio.AioRpcError:
    """Read to the end, which must be a status other than OK."""
    try:
        while await call.read() is not EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("it ended in order")


def draining(error: grpc.aio.AioRpcError) -> None:
    found = refusal_of(error)
    assert (found.code.name, found.reason) == ("UNAVAILABLE", "DRAINING")
    assert found.retry_delay is not None


async def test_streams_of_all_kinds_end_in_order_before_the_grace(
    migrated_db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watches end at once with their position, streams after their clients have had time to move."""
    monkeypatch.setattr(drain, "MOVE_SECONDS", 0.3)
    async with serving(migrated_db_url, drain_grace=LONG) as world:
        job, prompt = await world.create("other"), await world.create_prompt(confirm())
        health: Any = health_pb2_grpc.HealthStub(world.channel)
        probe = health.Watch(health_pb2.HealthCheckRequest(), timeout=3 * SOON)
        await probe.read()
        one = world.jobs.WatchJob(jobs.WatchJobRequest(job_id=job.job_id))
        many = world.jobs.WatchJobs(jobs.WatchJobsRequest())
        await one.read()
        await many.read()
        prompts = Watch(world.hitl.WatchPrompts(hitl.WatchPromptsRequest()))
        assert (await prompts.event("upserted")).prompt.prompt_id == prompt.prompt_id
        await prompts.event("caught_up")
        console, worker = world.console(), world.worker()
        await console.hello()
        await console.snapshot()
        await worker.hello()
        held = await world.create()
        assert (await worker.next_job()).job.job_id == held.job_id

        stopping = asyncio.create_task(world.service.stop())
        for call in (one, many, prompts.call):
            draining(await end_of(call))
        for stream in (console, worker):
            assert (await stream.expect("go_away")).reason
        # Frames on the old stream are still executed.
        reply = await console.ask(answer_prompt=answer(prompt, "at the door"))
        assert reply.result.status == 1
        for stream in (console, worker):
            found = await stream.wait_for_end()
            assert found is not None
            assert (found.code.name, found.reason) == ("UNAVAILABLE", "DRAINING")
        async with asyncio.timeout(SOON):
            await stopping
        world.mark_stopped()
        session = worker.session_id, worker.secret
    async with serving(migrated_db_url) as world:
        # The worker's session still exists, and its job has the same token.
        again = world.worker()
        mine = [workers.WorkHeldJob(job_id=held.job_id, token=1)]
        welcome = await again.hello(session_id=session[0], session_secret=session[1], held_jobs=mine)
        assert welcome.resumed
        assert not welcome.lost_job_ids
