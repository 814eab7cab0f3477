"""Parts of sessions that depend on timing: coalesced progress, callers that disconnect, ends of streams."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from askback_server.domain.commands import Command, ReleaseJob, ReportProgress, SessionRef
from askback_server.domain.errors import Draining, LeaseLost, SessionNotFound
from askback_server.domain.jobs import Job, JobState, Progress
from askback_server.domain.principals import Principal, Role
from askback_server.sessions.progress import ProgressWriter
from askback_server.sessions.unary_consumer import UnaryConsumer

WORKER = Principal("wanda", frozenset({Role.WORKER}))
START = datetime(2030, 1, 1, tzinfo=UTC)
JOB = Job("j", "default", "t", "ada", JobState.RUNNING, START, START, token=3)


class Engine:
    """Records the submitted commands."""

    def __init__(self) -> None:
        self.commands: list[Any] = []
        self.error: Exception | None = None

    async def execute(self, command: Command) -> int:
        return await self.submit(command)

    def submit(self, command: Command) -> asyncio.Future[int]:
        if self.error is not None:
            raise self.error
        self.commands.append(command)
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[int] = loop.create_future()
        loop.call_soon(reply.set_result, len(self.commands))
        return reply


class Dispatcher:
    """A dispatcher with one consumer."""

    def __init__(self) -> None:
        self.consumers: list[UnaryConsumer] = []

    def add(self, consumer: UnaryConsumer) -> None:
        self.consumers.append(consumer)

    def remove(self, consumer: UnaryConsumer) -> None:
        if consumer in self.consumers:
            self.consumers.remove(consumer)


def report(done: int, milestone: bool = False) -> ReportProgress:
    return ReportProgress(
        principal=WORKER, job_id="j", token=3, progress=Progress(done=done), milestone=milestone
    )


def progress_values(engine: Engine) -> list[int]:
    return [c.progress.done for c in engine.commands]


async def test_the_newest_report_wins_within_the_interval() -> None:
    engine: Any = Engine()
    writer = ProgressWriter(engine, asyncio.get_running_loop().time, interval=0.05)
    async with asyncio.timeout(5):
        replies = await asyncio.gather(*(writer.report(report(n)) for n in range(10)))
    assert progress_values(engine) == [0, 9]
    assert replies == [1] + [2] * 9
    await writer.report(report(10))
    assert progress_values(engine) == [0, 9, 10]


async def test_a_milestone_is_written_at_once_and_nothing_older_after_it() -> None:
    engine: Any = Engine()
    writer = ProgressWriter(engine, asyncio.get_running_loop().time, interval=0.05)
    async with asyncio.timeout(5):
        await writer.report(report(1))
        waiting = asyncio.ensure_future(writer.report(report(2)))
        await asyncio.sleep(0)
        await writer.report(report(3, milestone=True))
        assert await waiting == 2
        await writer.report(report(4))
    assert progress_values(engine) == [1, 3, 4]


async def test_waiting_progress_is_written_before_the_job_ends() -> None:
    engine: Any = Engine()
    writer = ProgressWriter(engine, asyncio.get_running_loop().time, interval=60)
    async with asyncio.timeout(5):
        await writer.report(report(1))
        waiting = writer.report(report(2))
        other = writer.report(replace(report(3), token=4))
        writer.flush("j", 3)
        assert progress_values(engine) == [1, 3, 2]
        assert await waiting == 3
        await other
        writer.flush("j", 3)
    assert progress_values(engine) == [1, 3, 2]


async def test_a_refused_milestone_drops_no_other_report() -> None:
    engine: Any = Engine()
    writer = ProgressWriter(engine, asyncio.get_running_loop().time, interval=60)
    async with asyncio.timeout(5):
        await writer.report(report(1))
        waiting = writer.report(report(2))
        refused: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        engine.submit = lambda command: engine.commands.append(command) or refused
        milestone = writer.report(report(3, milestone=True))
        del engine.submit
        refused.set_exception(LeaseLost("j", 3))
        with pytest.raises(LeaseLost):
            await milestone
        assert await waiting == 3
    assert progress_values(engine) == [1, 3, 2]


async def test_every_caller_of_a_coalesced_report_learns_that_it_failed() -> None:
    engine: Any = Engine()
    writer = ProgressWriter(engine, asyncio.get_running_loop().time, interval=0.02)
    await writer.report(report(1))
    engine.error = LeaseLost("j", 3)
    async with asyncio.timeout(5):
        results = await asyncio.gather(*(writer.report(report(n)) for n in (2, 3)), return_exceptions=True)
    assert [type(r) for r in results] == [LeaseLost, LeaseLost]


async def test_progress_is_coalesced_per_job() -> None:
    engine: Any = Engine()
    writer = ProgressWriter(engine, asyncio.get_running_loop().time, interval=0.02)
    async with asyncio.timeout(5):
        await asyncio.gather(*(writer.report(replace(report(1), job_id=name)) for name in "abc"))
    assert [c.job_id for c in engine.commands] == ["a", "b", "c"]


def consumer(maximum: int = 2) -> UnaryConsumer:
    return UnaryConsumer(WORKER, SessionRef("s", 0), "w", "default", frozenset({"t"}), maximum)


async def lives() -> None:
    """The session is extended."""


async def test_a_taker_stops_waiting_when_its_session_has_expired() -> None:
    async def raise_gone() -> None:
        raise SessionNotFound("s")

    dispatcher: Any = Dispatcher()
    engine: Any = Engine()
    one = consumer()
    async with asyncio.timeout(5):
        with pytest.raises(SessionNotFound):
            await one.collect(dispatcher, engine, 5, raise_gone, 0.01)
    assert not dispatcher.consumers
    one.accept_lease(JOB)  # it was on its way
    assert [(c.job_id, c.token) for c in engine.commands] == [("j", 3)]


async def test_a_taker_woken_all_the_time_still_extends_its_session() -> None:
    extended = asyncio.Event()

    async def extend() -> None:
        extended.set()

    one = consumer()
    collecting = asyncio.ensure_future(one.collect(Dispatcher(), Engine(), 60, extend, 0.05))  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while not extended.is_set():
            one.note_queues_read(one.job_types)
            await asyncio.sleep(0.001)
    collecting.cancel()
    await asyncio.wait([collecting])


async def test_a_taker_waits_for_leases_that_are_being_decided() -> None:
    dispatcher: Any = Dispatcher()
    one = consumer()
    collecting = asyncio.ensure_future(one.collect(dispatcher, Engine(), 5, lives, 60))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    one.reserve(1)
    one.reserve(1)
    assert one.room() == 0
    one.accept_lease(JOB)
    one.reserve(-1)
    await asyncio.sleep(0)
    assert not collecting.done()
    one.reserve(-1)
    async with asyncio.timeout(5):
        assert await collecting == [JOB]
    assert not dispatcher.consumers


@pytest.mark.parametrize("draining", [False, True])
async def test_a_lease_for_a_caller_that_went_away_is_released(draining: bool) -> None:
    dispatcher: Any = Dispatcher()
    engine: Any = Engine()
    one = consumer()
    collecting = asyncio.ensure_future(one.collect(dispatcher, engine, 5, lives, 60))
    await asyncio.sleep(0)
    one.reserve(1)
    one.reserve(1)
    one.accept_lease(JOB)
    one.reserve(-1)
    if draining:
        engine.error = Draining("later")
    collecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await collecting
    one.accept_lease(replace(JOB, job_id="late"))  # it was on its way
    one.reserve(-1)
    if not draining:
        assert [type(c) for c in engine.commands] == [ReleaseJob, ReleaseJob]
        assert [(c.job_id, c.token) for c in engine.commands] == [("j", 3), ("late", 3)]
