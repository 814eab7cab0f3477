"""Old streams reconnect, so that load moves to a new replica without loss."""

import asyncio
from itertools import pairwise
from typing import Any

import grpc
import pytest

from askback import Client, Job, Worker
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback_server.sessions.ageing import AGE_SPREAD, Ageing
from tests.support.refusals import refusal_of
from tests.support.requests import confirm
from tests.support.service import Caller, serving
from tests.support.streams import EOF
from tests.support.waiting import until


class Stream:
    """A stream that records when it is asked to leave."""

    def __init__(self) -> None:
        self.busy = False
        self.told: list[float] = []
        self.dismissed = False

    def go_away(self, reason: str, after: float) -> None:
        self.told.append(after)

    def dismiss(self) -> None:
        self.dismissed = True


async def test_streams_leave_at_their_age_spread_over_time() -> None:
    now = 0.0
    streams = [Stream() for _ in range(200)]
    ageing = Ageing(streams, 1000.0, lambda: now)
    await ageing.check()
    left = []
    for _ in range(130):
        now += 10.0
        await ageing.check()
        left.append(sum(bool(s.told) for s in streams))
    assert left[int(1000 * (1 - AGE_SPREAD)) // 10 - 2] == 0
    assert left[-1] == 200
    assert max(b - a for a, b in pairwise(left)) < 40
    assert all(s.dismissed for s in streams)


async def test_a_busy_stream_has_time_for_its_replies() -> None:
    now = 0.0
    stream = Stream()
    stream.busy = True
    ageing = Ageing([stream], 100.0, lambda: now)
    await ageing.check()
    while not stream.told:
        now += 1.0
        await ageing.check()
    now += 20.0
    await ageing.check()
    assert not stream.dismissed
    now += 11.0
    await ageing.check()
    assert stream.dismissed


async def test_workers_consoles_and_watchers_reconnect_without_loss(lite_url: str) -> None:
    """Streams live for a second or two, connections for less. Every job ends with its answer."""
    async with serving(lite_url, stream_age=1.0, heartbeat=0.5) as world:
        target = f"127.0.0.1:{world.service.port}"
        worker, attempts = Worker(target, user="w"), dict[str, int]()

        @worker.job("pay")
        async def pay(job: Job) -> str:
            attempts[job.job_id] = attempts.get(job.job_id, 0) + 1
            return "paid" if await job.confirm("Pay?", key="pay") else "kept"

        async with Client(target, user="boss") as boss, worker, boss.console(user="ana") as desk:

            async def answer() -> None:
                async for prompt in desk.prompts():
                    await prompt.approve()

            answering = asyncio.create_task(answer())
            runs, ends = [], []
            for _ in range(25):
                run = await boss.start("pay", {})
                runs.append(run)
                ends.append(asyncio.create_task(run.result()))
                await asyncio.sleep(0.15)
            async with asyncio.timeout(20):
                assert await asyncio.gather(*ends) == ["paid"] * 25
            answering.cancel()
        assert set(attempts.values()) == {1}, "a job was run twice"
        # More streams than clients, so they have reconnected.
        ended = world.service._server.calls.ended  # type: ignore[union-attr]
        assert sum(n for (m, _), n in ended.items() if m.endswith(("/Work", "/Converse"))) >= 4


async def test_a_client_that_ignores_go_away_is_disconnected(lite_url: str) -> None:
    async with serving(lite_url, stream_age=1.0, heartbeat=5) as world:
        console = world.console()
        await console.hello()
        await console.snapshot()
        told = await console.expect("go_away")
        assert told.reason
        found = await console.wait_for_end()
        assert found is not None
        assert (found.code.name, found.reason) == ("UNAVAILABLE", "DRAINING")
        watch = world.jobs.WatchJobs(jobs.WatchJobsRequest())
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await _drain(watch)
        assert refusal_of(ended.value).reason == "DRAINING"
        await until(lambda: not world.service.replica.streams)


async def _drain(call: Any) -> None:
    while await call.read() is not EOF:
        pass


async def test_workers_are_served_before_consoles_after_a_restart(lite_url: str) -> None:
    """Many consoles return first, in the proportions of a restart: 3,000 to 200, here 300 to 20. Few views
    are loaded at once, and every worker has its session before most consoles have their view.
    """
    async with serving(lite_url) as world:
        replica = world.service.replica
        for n in range(20):
            await world.jobs.CreateJob(jobs.CreateJobRequest(job_type="q", prompt=confirm(f"{n}")))
        list_prompts, maximum = replica.jobs.list_prompts, 0

        async def slow(*args: Any) -> Any:
            nonlocal maximum
            maximum = max(maximum, replica.admission.reading)
            await asyncio.sleep(0.01)
            return await list_prompts(*args)

        replica.jobs.list_prompts = slow  # type: ignore[method-assign]
        order: list[str] = []

        async def console(caller: Caller) -> None:
            stream = world.console(caller)
            await stream.send(hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello()))
            while (await stream.frame()).prompt_event.WhichOneof("event") != "caught_up":
                pass
            order.append("console")

        async def worker() -> None:
            await world.worker().hello()
            order.append("worker")

        own = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            grpc.aio.insecure_channel(f"127.0.0.1:{world.service.port}", options=own) for _ in range(4)
        ]
        callers = [Caller(channel, (("askback-user", f"c{n}"),)) for n, channel in enumerate(channels)]
        try:
            coming = [asyncio.create_task(console(callers[n % 4])) for n in range(300)]
            await asyncio.sleep(0)
            coming += [asyncio.create_task(worker()) for _ in range(20)]
            async with asyncio.timeout(30):
                await asyncio.gather(*coming)
            await world.close()
        finally:
            for channel in channels:
                await channel.close()
        assert 0 < maximum <= replica.limits.view_loads
        last = max(n for n, who in enumerate(order) if who == "worker")
        assert last < 160, f"the last worker came after {last} of 300 consoles"


async def test_a_watch_that_moves_is_not_logged_as_a_lost_connection(
    lite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server asks an old watch to open again. There is a connection all the time."""
    caplog.set_level("INFO", "askback.stream")

    def lines() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "askback.stream"]

    async def follow(client: Client) -> None:
        async for _ in client.watch_prompts():
            pass

    async with (
        serving(lite_url, stream_age=0.5, heartbeat=0.2) as world,
        Client(f"127.0.0.1:{world.service.port}", user="ana") as client,
    ):
        following = asyncio.create_task(follow(client))
        await until(lambda: len(lines()) >= 2)
        following.cancel()
    for line in lines():
        assert line.startswith("HitlService.WatchPrompts: moved to another stream of 127.0.0.1:"), line
