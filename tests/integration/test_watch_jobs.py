"""WatchJobs: a snapshot, caught_up, then changes; resumed by token, or reset."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as pb
from askback_server.sessions import job_follower
from tests.support.refusals import SOON
from tests.support.requests import CANCELLED
from tests.support.service import Caller, ServiceWorld, position_of


class Watch:
    """The state of a watcher."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.jobs: dict[str, job_pb2.Job] = {}
        self.told: list[str] = []
        self.removed: list[str] = []
        self.reset = ""
        self.token = ""
        self.caught_up = 0

    async def read(self) -> None:
        message = await self._call.read()
        if message.reset:
            self.jobs.clear()
            self.reset = message.reset
        for job in message.jobs:
            known = self.jobs.get(job.job_id)
            assert known is None or known.version < job.version, "versions go back"
            self.jobs[job.job_id] = job
            self.told.append(job.job_id)
        for job_id in message.removed_job_ids:
            self.jobs.pop(job_id, None)
            self.removed.append(job_id)
        self.caught_up += message.caught_up
        self.token = message.resume_token or self.token

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(SOON):
            while not condition(self):
                await self.read()

    async def catch_up(self) -> None:
        await self.until(lambda w: w.caught_up)


@asynccontextmanager
async def watching(caller: Caller, token: str = "", **request: Any) -> AsyncIterator[Watch]:
    call = caller.jobs.WatchJobs(pb.WatchJobsRequest(resume_token=token, **request))
    try:
        yield Watch(call)
    finally:
        call.cancel()


async def relabel(world: ServiceWorld, job_id: str, **labels: str) -> None:
    request = pb.UpdateJobRequest(
        job=job_pb2.Job(job_id=job_id, labels=labels), update_mask=FieldMask(paths=["labels"])
    )
    await world.jobs.UpdateJob(request)


async def cancel(world: ServiceWorld, job_id: str) -> None:
    await world.jobs.CancelJob(pb.CancelJobRequest(job_id=job_id))


async def test_watch_jobs_sends_a_snapshot_and_then_changes(world: ServiceWorld) -> None:
    a, gone = await world.create("a"), await world.create("a")
    await cancel(world, gone.job_id)
    await world.create("b")
    await world.create("a", namespace="other")
    async with watching(world, filter=pb.JobFilter(job_types=["a"])) as watch:
        await watch.catch_up()
        assert watch.told == [a.job_id]  # ended jobs are not in the snapshot
        assert (watch.caught_up, watch.reset) == (1, "")
        assert watch.token
        b = await world.create("a")
        await cancel(world, a.job_id)
        await watch.until(lambda w: b.job_id in w.jobs and w.jobs[a.job_id].state == CANCELLED)
        await world.jobs.DeleteJob(pb.DeleteJobRequest(job_id=a.job_id))
        await watch.until(lambda w: a.job_id in w.removed)
        assert set(watch.jobs) == {b.job_id}


async def test_states_choose_the_snapshot_and_labels_the_view(lite: ServiceWorld) -> None:
    ended = await lite.create(labels={"x": "1"})
    await cancel(lite, ended.job_id)
    open_ = await lite.create(labels={"x": "1"})
    await lite.create(labels={"x": "2"})
    filter = pb.JobFilter(labels={"x": "1"}, states=[CANCELLED])
    async with watching(lite, filter=filter) as watch:
        await watch.catch_up()
        assert watch.told == [ended.job_id]
        await relabel(lite, open_.job_id, x="1", y="1")
        await watch.until(lambda w: open_.job_id in w.jobs)
        await relabel(lite, open_.job_id, x="2")
        await watch.until(lambda w: open_.job_id in w.removed)
        await relabel(lite, ended.job_id)
        await watch.until(lambda w: ended.job_id in w.removed)
        assert not watch.jobs


@pytest.fixture
def quick_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_follower, "IDLE_SECONDS", 0.05)


async def test_resuming_watch_jobs_sends_exactly_the_changes(world: ServiceWorld, quick_marks: None) -> None:
    filter = pb.JobFilter(job_types=["a"], labels={"x": "1"})
    jobs = [await world.create("a", labels={"x": "1"}) for _ in range(4)]
    still, changed, relabelled, deleted = (j.job_id for j in jobs)
    elsewhere = await world.create("a", namespace="other", labels={"x": "1"})
    async with watching(world, filter=filter) as watch:
        await watch.catch_up()
        assert set(watch.told) == {still, changed, relabelled, deleted}
        await relabel(world, still, x="1", seen="yes")
        await watch.until(lambda w: "seen" in w.jobs[still].labels)
        reached = await world.catch_up()
        await watch.until(lambda w: position_of(w.token) >= reached)
    await cancel(world, changed)
    await relabel(world, relabelled, x="2")
    for job_id in (deleted, elsewhere.job_id):
        await cancel(world, job_id)
        await world.jobs.DeleteJob(pb.DeleteJobRequest(job_id=job_id))
    async with watching(world, watch.token, filter=filter) as again:
        await again.catch_up()
        assert again.reset == ""
        assert again.told == [changed]
        # Jobs of another namespace are not sent, not even their end.
        assert sorted(again.removed) == sorted([relabelled, deleted])
        await relabel(world, still)
        await again.until(lambda w: still in w.removed)


@pytest.mark.parametrize("kind", ["nonsense", "other filter", "other user"])
async def test_an_unusable_watch_jobs_token_gives_a_reset_and_a_snapshot(
    lite: ServiceWorld, kind: str
) -> None:
    job = await lite.create("a")
    async with watching(lite, filter=pb.JobFilter(job_types=["a"])) as watch:
        await watch.catch_up()
    caller: Caller = lite.as_user("bob") if kind == "other user" else lite
    token = "nonsense" if kind == "nonsense" else watch.token
    types = ["a", "b"] if kind == "other filter" else ["a"]
    async with watching(caller, token, filter=pb.JobFilter(job_types=types)) as again:
        await again.catch_up()
        assert again.reset
        assert list(again.jobs) == [job.job_id]


async def test_bookmarks_are_sent_while_jobs_change(lite: ServiceWorld, quick_marks: None) -> None:
    job = await lite.create()
    async with watching(lite) as watch:
        await watch.catch_up()
        first, n = watch.token, 0
        while watch.token == first:
            n += 1
            await relabel(lite, job.job_id, n=str(n))
            await watch.until(lambda w, n=n: w.jobs[job.job_id].labels["n"] == str(n) or w.token != first)


async def test_large_jobs_are_sent_in_small_messages(lite: ServiceWorld) -> None:
    # More than 4 MiB in total, which clients in other languages would refuse as one message.
    big = '"' + "x" * 240_000 + '"'
    made = {(await lite.create(input_json=big)).job_id for _ in range(20)}
    async with watching(lite) as watch:
        await watch.catch_up()
        assert set(watch.jobs) == made
