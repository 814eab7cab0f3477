"""The worker's session: late timers and frames do not affect the next session; content of heartbeats."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest

from askback._worker.job import Job
from askback._worker.lease import Lease, Stop, lease_mark
from askback._worker.work_protocol import WorkProtocol
from askback._worker.work_session import WorkSession
from askback.errors import SessionNotFound, Unavailable
from askback.v1 import job_pb2
from askback.v1 import worker_service_pb2 as pb
from askback_server.sessions import lease_book
from tests.support.fake_server import span, work_welcome
from tests.support.statuses import with_reason
from tests.support.waiting import until
from tests.support.worker_harness import WorkerHarness


class NoStream:
    """Stands for the worker's stream."""

    def submit(self, frame: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()


class Rig:
    """A wire without a network."""

    def __init__(self) -> None:
        self.said: list[pb.WorkClientFrame] = []
        self.taken: list[Lease] = []
        self.wire = WorkProtocol(
            worker_id="w", namespace="default", job_types=["t"], capacity=2, take=self._take
        )

    def _take(self, leased: pb.LeasedJob, before: Lease | None) -> Lease | None:
        if leased.job.job_type != "t":
            return None
        lease = Lease(leased, NoStream(), None)
        self.taken.append(lease)
        return lease

    def welcome(self, session: str, *, resumed: bool = False, lost: tuple[str, ...] = ()) -> WorkSession:
        self.wire.hello()
        body = work_welcome(session, resumed=resumed, lost_job_ids=lost, heartbeat_interval=span(2))
        self.wire.on_welcome(pb.WorkServerFrame(**body))
        self.wire.on_open(self.said.append)
        assert self.wire.session is not None
        return self.wire.session

    def push(self, job_id: str, token: int = 1, job_type: str = "t", *, leaving: bool = False) -> None:
        leased = pb.LeasedJob(job=job_pb2.Job(job_id=job_id, job_type=job_type), token=token)
        frame = pb.WorkServerFrame(job_leased=pb.WorkJobLeased(leased_job=leased))
        self.wire.on_push(frame, leaving=leaving)


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every callback for which a session starts a timer, even if the timer is cancelled."""
    armed: list[Any] = []
    real = WorkSession.arm

    def arm(self: WorkSession, spoken: float) -> None:
        real(self, spoken)
        armed.append(self.end)

    monkeypatch.setattr(WorkSession, "arm", arm)
    return armed


@pytest.mark.parametrize("order", ["lost, refused", "refused, lost", "lost, lost, refused"])
async def test_a_timer_of_one_session_never_acts_on_the_next(rig: Rig, timers: list[Any], order: str) -> None:
    first = rig.welcome("s1")
    rig.push("old")
    for what in order.split(", "):
        if what == "lost":
            rig.wire.on_disconnect(0.0)
        else:
            assert rig.wire.on_refusal(SessionNotFound("gone"), first)
    assert rig.taken[0].stopped is Stop.LOST
    second = rig.welcome("s2")
    rig.push("new")
    # This holds even if every timer of the first session fires now.
    for fire in timers:
        fire()
    assert rig.wire.session is second
    assert not second.ended
    assert rig.taken[1].stopped is None
    assert first._expiry is None


async def test_a_late_refusal_of_an_old_session_does_not_touch_the_new_one(rig: Rig) -> None:
    first = rig.welcome("s1")
    second = rig.welcome("s2")
    rig.push("j")
    assert rig.wire.on_refusal(SessionNotFound("gone"), first)
    assert rig.wire.session is second
    assert rig.taken[0].stopped is None


async def test_a_session_that_ended_during_its_hello_continues_without_its_leases(
    rig: Rig,
) -> None:
    """The server resumes it. The digest reports that the worker runs none of its jobs."""
    first = rig.welcome("s1")
    rig.push("j")
    rig.wire.hello()
    first.end()
    body = work_welcome("s1", resumed=True)
    rig.wire.on_welcome(pb.WorkServerFrame(**body))
    beat = rig.wire.heartbeat(leaving=False).heartbeat
    assert (beat.received, beat.leases.count) == (0, 0)
    assert rig.wire.session is not first
    assert rig.taken[0].stopped is Stop.LOST


async def test_a_loss_in_a_welcome_concerns_the_lease_named_in_the_hello(rig: Rig) -> None:
    rig.welcome("s1")
    rig.push("j", 1)
    rig.wire.hello()
    rig.push("j", 2, leaving=True)  # on the old stream, after the hello on the new one
    body = work_welcome("s1", resumed=True, lost_job_ids=["j"])
    rig.wire.on_welcome(pb.WorkServerFrame(**body))
    assert [lease.stopped for lease in rig.taken] == [Stop.LOST, None]


async def test_a_lost_lease_with_another_token_is_ignored(rig: Rig) -> None:
    rig.welcome("s1")
    rig.push("j", 2)
    for token in (0, 1, 3):
        lost = pb.WorkLeaseLost(job_id="j", token=token)
        rig.wire.on_push(pb.WorkServerFrame(lease_lost=lost), leaving=False)
    assert rig.taken[0].stopped is None


async def test_leases_last_as_long_as_the_servers_clock_can_allow(rig: Rig) -> None:
    """The server extends a session within half an interval after it read the last frame."""
    session = rig.welcome("s1")  # heartbeats every 2 s
    spoken = asyncio.get_running_loop().time()
    rig.wire.on_disconnect(spoken)
    assert session._expiry is not None
    assert session._expiry.when() == pytest.approx(spoken + 7.0)
    assert rig.welcome("s1", resumed=True) is session
    assert session._expiry is None


async def test_client_and_server_compute_the_same_lease_digest(rig: Rig) -> None:
    assert lease_mark("job", 7) == lease_book.lease_mark("job", 7)
    rig.welcome("s1")
    for number in range(3):
        rig.push(f"j{number}", number + 1)
    rig.taken[0].ending = True
    rig.taken[1].stop(Stop.LOST)
    beat = rig.wire.heartbeat(leaving=False).heartbeat
    wanted = lease_book.digest_leases([("j2", 3)])
    assert (beat.received, beat.leases.count, beat.leases.digest) == (3, wanted.count, wanted.digest)
    # A lease whose completion has no reply yet is listed, because the server may not have received it.
    rig.wire.on_push(pb.WorkServerFrame(leases_wanted=pb.WorkLeasesWanted()), leaving=False)
    listed = rig.said[-1].held_leases
    assert [(job.job_id, job.token) for job in listed.leases] == [("j0", 1), ("j2", 3)]
    assert listed.received == 3


async def test_a_heartbeat_stays_small_with_ten_thousand_jobs(rig: Rig) -> None:
    rig.welcome("s1")
    for number in range(10_000):
        rig.push(f"00000000-0000-7000-8000-{number:012d}")
    assert rig.wire.heartbeat(leaving=False).ByteSize() < 40


async def test_a_replaced_stream_reports_no_leases(rig: Rig) -> None:
    rig.welcome("s1")
    rig.push("j")
    beat = rig.wire.heartbeat(leaving=True).heartbeat
    assert not beat.HasField("leases")
    assert not beat.HasField("received")


async def test_received_jobs_are_confirmed_once_per_message(rig: Rig) -> None:
    rig.welcome("s1")
    await asyncio.sleep(0)
    rig.said.clear()
    for number in range(5):
        rig.push(f"j{number}")
    await asyncio.sleep(0)
    [frame] = rig.said
    assert (frame.heartbeat.received, frame.heartbeat.HasField("leases")) == (5, False)


async def test_a_job_without_a_function_is_released(rig: Rig) -> None:
    rig.welcome("s1")
    rig.push("j", 4, "other")
    assert (rig.said[-1].release_job.job_id, rig.said[-1].release_job.token) == ("j", 4)


async def test_an_outage_ends_only_the_stream(rig: Rig) -> None:
    session = rig.welcome("s1")
    rig.push("j")
    assert not rig.wire.on_refusal(Unavailable("away"), session)
    assert rig.taken[0].stopped is None


async def test_frames_from_the_stream_of_an_old_session_are_dropped(harness: WorkerHarness) -> None:
    """After a go-away the old session is refused and a new one welcomed; the old stream is still open."""
    started: list[tuple[str, int]] = []

    async def fn(job: Job) -> Any:
        started.append((job.job_id, job.token))
        await asyncio.sleep(60)

    await harness.start(fn)
    harness.lease(1, "old")
    await harness.wait_until_holding(1)
    old = harness.stream
    old.send(go_away=pb.WorkGoAway(reason="drain", after=span(5)))
    refused = await harness.server.work()
    await refused.next("hello")
    refused.end(*with_reason(grpc.StatusCode.NOT_FOUND, "ERROR_REASON_SESSION_NOT_FOUND", refused.context))
    hello = await harness.next_hello(session="s2")
    assert hello.session_id == ""
    harness.lease(1, "new")
    await harness.stream.next("heartbeat")
    job = job_pb2.Job(job_id="stale", job_type="t")
    old.send(job_leased=pb.WorkJobLeased(leased_job=pb.LeasedJob(job=job, token=1)))
    old.send(cancel_requested=pb.WorkCancelRequested(job_id="new"))
    old.end()
    await asyncio.wait_for(old.closed.wait(), 5)
    harness.lease(1, "last")
    await harness.wait_until_holding(2)
    await until(lambda: ("last", 1) in started)
    assert started == [("old", 1), ("new", 1), ("last", 1)]
    assert harness.worker.holding == 2


async def test_a_blocked_event_loop_is_not_mistaken_for_a_silent_server(harness: WorkerHarness) -> None:
    """Frames that arrived meanwhile were not read. The stream stays open, and no log blames the server."""

    async def fn(job: Job) -> int:
        time.sleep(1)  # noqa: ASYNC251  # the interval of heartbeats is 0.2 s, and three may be missed
        return 7

    await harness.start(fn, welcome={"heartbeat_interval": span(0.2)})
    stream = harness.stream

    async def beat() -> None:
        while True:
            stream.send(heartbeat=pb.WorkHeartbeat())
            await asyncio.sleep(0.05)

    beating = asyncio.create_task(beat())
    harness.lease()
    assert await harness.result() == 7
    assert not stream.closed.is_set()
    assert harness.server.work_streams.opened.empty()
    beating.cancel()
