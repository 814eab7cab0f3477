"""For a client that reads more slowly than jobs change, little is kept in memory, and it misses nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import hitl_service_pb2_grpc, job_pb2, job_service_pb2_grpc
from askback.v1 import job_service_pb2 as jobs
from askback_server.sessions import images, job_follower, jobs_follower
from askback_server.sessions.images import ViewImages
from tests.support.refusals import SOON
from tests.support.requests import CANCELLED, answer, confirm
from tests.support.service import ServiceWorld, position_of
from tests.support.waiting import until

EVE = (("askback-user", "eve"),)
LARGE = 230_000
"""Bytes that fill the window of a client that does not read."""
FEW = 6


@pytest.fixture(autouse=True)
def little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (images, jobs_follower):
        monkeypatch.setattr(module, "MAX_VIEW_ENTRIES", FEW)


@pytest.fixture
def falls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often views fell behind, and checks that none keeps more than its limit."""
    seen: list[int] = []
    keep, fall_behind = ViewImages.keep, ViewImages.fall_behind

    def keep_checked(self: ViewImages, image: Any) -> None:
        keep(self, image)
        assert len(self.images) <= 2 * FEW  # waiting images and those being written

    def fell(self: ViewImages) -> None:
        seen.append(len(self.images))
        fall_behind(self)

    monkeypatch.setattr(ViewImages, "keep", keep_checked)
    monkeypatch.setattr(ViewImages, "fall_behind", fell)
    return seen


@asynccontextmanager
async def stranger(world: ServiceWorld) -> AsyncIterator[grpc.aio.Channel]:
    """A separate connection whose window stays small."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.service.port}", options=options) as channel:
        yield channel


def is_stuck(world: ServiceWorld) -> bool:
    """Whether a message waits to be read."""
    open_calls = world.service._server.calls.streams  # type: ignore[union-attr]
    return any(call.writing_since for call in open_calls._open)


class Jobs:
    """The state of a watcher of jobs with the label x=1."""

    def __init__(self, channel: grpc.aio.Channel, token: str = "") -> None:
        watch = jobs.WatchJobsRequest(filter=jobs.JobFilter(labels={"x": "1"}), resume_token=token)
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        self.call = stub.WatchJobs(watch, metadata=EVE, timeout=SOON)
        self.has: dict[str, Any] = {}
        self.removed: set[str] = set()
        self.resets = self.caught_up = self.told = 0
        self.token = ""

    async def read(self) -> None:
        message = await self.call.read()
        if message.reset:
            self.resets += 1
            self.has.clear()
            self.removed.clear()
        for job in message.jobs:
            known = self.has.get(job.job_id)
            assert known is None or known.version < job.version
            assert job.job_id not in self.removed
            self.has[job.job_id] = job
            self.told += 1
        for job_id in message.removed_job_ids:
            self.has.pop(job_id, None)
            self.removed.add(job_id)
        self.caught_up += message.caught_up
        self.token = message.resume_token or self.token

    async def until(self, condition: Any) -> None:
        while not condition():
            await self.read()


async def relabel(world: ServiceWorld, job_id: str) -> None:
    request = jobs.UpdateJobRequest(
        job=job_pb2.Job(job_id=job_id, labels={"x": "2"}), update_mask=FieldMask(paths=["labels"])
    )
    await world.jobs.UpdateJob(request)


@pytest.mark.parametrize("is_long", [False, True], ids=["the log has it", "the log is too long"])
async def test_a_slow_watcher_of_jobs_misses_nothing(
    world: ServiceWorld, falls: list[int], monkeypatch: pytest.MonkeyPatch, is_long: bool
) -> None:
    labels = {"x": "1"}
    monkeypatch.setattr(job_follower, "IDLE_SECONDS", 0.05)
    stays, ends, goes, leaves = [(await world.create(labels=labels)).job_id for _ in range(4)]
    async with stranger(world) as channel:
        watch = Jobs(channel)
        await watch.until(lambda: watch.caught_up)
        large = [(await world.create(labels=labels, input_json=f'"{"x" * LARGE}"')).job_id for _ in range(3)]
        await until(lambda: is_stuck(world))
        await world.jobs.CancelJob(jobs.CancelJobRequest(job_id=ends))
        await world.jobs.CancelJob(jobs.CancelJobRequest(job_id=goes))
        await world.jobs.DeleteJob(jobs.DeleteJobRequest(job_id=goes))
        await relabel(world, leaves)
        brief = (await world.create(labels=labels)).job_id
        await world.jobs.CancelJob(jobs.CancelJobRequest(job_id=brief))
        more = [(await world.create(labels=labels)).job_id for _ in range(3 * FEW)]
        reached = await world.catch_up()
        assert falls
        if is_long:
            monkeypatch.setattr(jobs_follower, "MAX_MISSED_EVENTS", 0)
        is_open = {stays, *large, *more}
        await watch.until(lambda: is_open <= watch.has.keys() and position_of(watch.token) >= reached)
        assert watch.caught_up == 1
        if is_long:
            assert watch.resets == 1
            assert watch.has.keys() == is_open
            monkeypatch.setattr(jobs_follower, "MAX_MISSED_EVENTS", 1_000)
        else:
            assert watch.resets == 0
            assert watch.has.keys() == is_open | {ends, brief}, "every change is told, as it is by now"
            assert watch.has[ends].state == watch.has[brief].state == CANCELLED
            assert watch.removed == {goes, leaves}
        await world.jobs.CancelJob(jobs.CancelJobRequest(job_id=stays))
        await watch.until(lambda: watch.has[stays].state == CANCELLED)
        ended = await world.catch_up()
        await watch.until(lambda: position_of(watch.token) >= ended)
        again = Jobs(channel, watch.token)
        await again.until(lambda: again.caught_up)
        assert (again.told, again.resets) == (0, 0)
    await until(lambda: not world.service.replica.images._views)
    assert world.service.replica.images.total == 0


class Prompts:
    """The state of a console."""

    def __init__(self, channel: grpc.aio.Channel, door: str, token: str = "") -> None:
        stub = hitl_service_pb2_grpc.HitlServiceStub(channel)
        self.door = door
        if door == "Converse":
            self.call: Any = stub.Converse(metadata=EVE, timeout=SOON)
        else:
            watch = hitl.WatchPromptsRequest(resume_token=token)
            self.call = stub.WatchPrompts(watch, metadata=EVE, timeout=SOON)
        self.hello = hitl.ConverseHello(resume_token=token)
        self.has: dict[str, Any] = {}
        self.versions: dict[str, int] = {}
        self.shown: set[str] = set()
        self.closed: set[str] = set()
        self.removed: set[str] = set()
        self.caught_up = self.resets = 0
        self.token = ""

    async def start(self) -> None:
        if self.door == "Converse":
            frame = hitl.ConverseClientFrame(ref=1, hello=self.hello)
            await self.call.write(hitl.ConverseRequest(frames=[frame]))
        await self.until(lambda: self.caught_up)

    async def read(self) -> None:
        message = await self.call.read()
        if self.door == "Converse":
            for frame in message.frames:
                if frame.WhichOneof("body") == "prompt_event":
                    self._hear(frame.prompt_event)
        else:
            for event in message.events:
                self._hear(event)

    def _hear(self, event: Any) -> None:
        kind = event.WhichOneof("event")
        body = getattr(event, kind)
        if kind == "upserted":
            prompt = body.prompt
            assert prompt.version > self.versions.get(prompt.prompt_id, 0)
            self.versions[prompt.prompt_id] = prompt.version
            self.has[prompt.prompt_id] = prompt
            self.shown.add(prompt.prompt_id)
        elif kind in ("closed", "removed"):
            getattr(self, kind).add(body.prompt_id)
            self.has.pop(body.prompt_id)
        elif kind == "caught_up":
            self.caught_up += 1
            self.token = body.resume_token
            is_resumed = self.hello.resume_token and not self.resets
            assert body.open_prompts == (-1 if is_resumed else len(self.has))
        elif kind == "reset_view":
            self.resets += 1
            self.has.clear()
            self.versions.clear()

    async def until(self, condition: Any) -> None:
        while not condition():
            await self.read()


@pytest.mark.parametrize("is_resumed", [False, True], ids=["fresh", "resumed"])
@pytest.mark.parametrize("door", ["Converse", "WatchPrompts"])
async def test_a_slow_console_misses_nothing(
    world: ServiceWorld, falls: list[int], door: str, is_resumed: bool
) -> None:
    lease = await world.lease_new_job()
    stays, ends, changes = [await world.ask(lease, key, confirm(key)) for key in ("stays", "ends", "changes")]
    goes = await world.create_prompt(confirm("goes"))
    await world.catch_up()
    async with stranger(world) as channel:
        console = Prompts(channel, door)
        await console.start()
        if is_resumed:
            had, console.call = console, console.call.cancel()
            console = Prompts(channel, door, had.token)
            console.has, console.versions = had.has, had.versions
            await console.start()
        for _ in range(3):
            await world.create_prompt(confirm("large", body="b" * LARGE))
        await until(lambda: is_stuck(world))
        await world.hitl.AnswerPrompt(answer(ends))
        await world.jobs.CancelJob(jobs.CancelJobRequest(job_id=goes.job_id))
        await world.jobs.DeleteJob(jobs.DeleteJobRequest(job_id=goes.job_id))
        newest = await world.amend(lease, "changes", "changed")
        brief = await world.create_prompt(confirm("brief"))
        await world.hitl.AnswerPrompt(answer(brief, "b-1"))
        for n in range(3 * FEW):
            await world.create_prompt(confirm(f"more {n}"))
        await world.catch_up()
        assert falls
        await console.until(lambda: console.caught_up == 2)
        assert console.resets == is_resumed
        assert len(console.has) == 3 * FEW + 5
        assert console.has[changes.prompt_id] == newest
        assert stays.prompt_id in console.has
        assert brief.prompt_id not in console.shown
        if not is_resumed:
            assert console.closed == {ends.prompt_id}
            assert console.removed == {goes.prompt_id}
        live = await world.create_prompt(confirm("live"))
        await console.until(lambda: live.prompt_id in console.has)
        again = Prompts(channel, door, console.token)
        again.has = dict(console.has)
        del again.has[live.prompt_id]
        await again.start()
        assert (again.shown, again.resets) == ({live.prompt_id}, 0)
    await until(lambda: not world.service.replica.images._views)
    assert world.service.replica.images.total == 0


@pytest.mark.parametrize("door", ["Converse", "WatchPrompts"])
async def test_a_console_behind_the_retained_log_gets_a_reset(lite: ServiceWorld, door: str) -> None:
    async with stranger(lite) as channel:
        console = Prompts(channel, door)
        await console.start()
        console.call.cancel()
        for n in range(3 * FEW):
            await lite.create_prompt(confirm(f"{n}"))
        again = Prompts(channel, door, console.token)
        await again.start()
        assert again.resets == 1
        assert len(again.has) == 3 * FEW
