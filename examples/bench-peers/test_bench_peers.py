"""The comparison without peers: loops on a system in memory, the order, ratios, and what is skipped."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path

import pytest

import comparison as comparison_module
from comparison import Comparison, order_of
from installing import Unavailable, install
from loops import Sizes, Turn, Window, measure_turn
from peers.peer import (
    LANES,
    QUESTIONS,
    SPARE,
    PeerOfJobs,
    Question,
    Settings,
    WrongReply,
    answer_to,
    check_answer,
    question_of,
)
from results import all_ratios, metrics_of, report, to_json
from systems import SYSTEMS, System


class InMemory(PeerOfJobs):
    """A system in memory, whose jobs are tasks."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.answers: dict[str, asyncio.Queue[object]] = {}
        self.ended = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self.open_jobs()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def begin(self, job_id: str) -> None:
        self.answers[job_id] = asyncio.Queue()
        self._tasks.add(asyncio.create_task(self._ask(job_id)))

    async def _ask(self, job_id: str) -> None:
        for number in range(QUESTIONS):
            self.show(job_id, question_of(job_id, number))
            check_answer(await self.answers[job_id].get(), job_id, number)
        self.ended += 1
        self.show(job_id, None)

    async def answer(self, job_id: str, question: Question) -> None:
        self.answers[job_id].put_nowait(answer_to(question))

    async def job(self, lane: int) -> None:
        await asyncio.sleep(0)


def turn(alone: list[float], trips: int = 10, jobs: int = 10) -> Turn:
    return Turn(alone, trips, 1.0, jobs, 1.0)


async def do_trips(peer: InMemory, count: int) -> None:
    for _ in range(count):
        await peer.trip(7)


async def test_a_job_is_replaced_after_its_last_answer(tmp_path: Path) -> None:
    peer = InMemory(Settings(tmp_path))
    await peer.start()
    await do_trips(peer, 4 * QUESTIONS)
    assert peer.ended == 4
    await peer.stop()


async def test_a_turn_counts_trips_and_jobs(tmp_path: Path) -> None:
    peer = InMemory(Settings(tmp_path))
    await peer.start()
    found = await measure_turn(peer, Sizes(alone=5, alone_seconds=60.0, warm=0.01, loop=0.02))
    assert len(found.alone) == 5
    assert found.trips >= LANES <= found.jobs
    assert found.trips_seconds >= 0.02 <= found.jobs_seconds
    await peer.stop()


def test_a_window_begins_and_ends_with_a_batch_of_all_lanes() -> None:
    now = 0.0
    window = Window(Sizes(warm=1.0, loop=2.0), clock=lambda: now)
    for second in (1.0, 1.5, 2.5, 3.0, 3.75):  # the ends of batches; warm from 1.5
        for _ in range(LANES):
            assert not window.is_over
            now = second
            window.add_one()
    assert (window.is_over, window.count, window.seconds) == (True, 3 * LANES, 2.25)
    window.add_one()
    assert window.count == 3 * LANES


async def test_a_trip_that_does_not_end_fails_the_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = InMemory(Settings(tmp_path))
    await peer.start()
    await peer.stop()  # now its jobs take no answers
    monkeypatch.setattr("loops.PATIENCE", 0.01)
    with pytest.raises(WrongReply, match="did not end within"):
        await measure_turn(peer, Sizes(warm=0.01, loop=0.01))


async def test_a_job_that_cannot_be_replaced_fails_a_later_trip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(job_id: str) -> None:
        raise WrongReply(f"{job_id} was refused")

    peer = InMemory(Settings(tmp_path))
    await peer.start()
    monkeypatch.setattr(peer, "begin", refuse)
    await do_trips(peer, SPARE * QUESTIONS - 1)  # one of the lane's two jobs has ended
    for _ in range(2):
        await asyncio.sleep(0)  # its replacement runs, and then its callback
    with pytest.raises(WrongReply, match="was refused"):
        await peer.trip(8)
    await peer.stop()


def test_an_answer_to_another_question_is_noticed() -> None:
    with pytest.raises(WrongReply, match="job-1 asked question 2"):
        check_answer(answer_to(question_of("job-1", 1)), "job-1", 2)


def test_the_order_of_a_round_is_mirrored_and_rotates() -> None:
    assert order_of("abc", 0) == [*"abccba"]
    assert order_of("abc", 4) == [*"bcaacb"]
    assert order_of("", 1) == []


def test_metrics_are_of_all_turns_of_a_round() -> None:
    found = metrics_of([Turn([1.0, 2.0], 30, 2.0, 8, 1.0), Turn([9.0], 30, 1.0, 0, 1.0)])
    assert found == {"p50": 2.0, "p99": 9.0, "trips": 20.0, "jobs": 4.0}


def test_ratios_are_paired_within_a_round_and_above_one_where_askback_is_better() -> None:
    rounds = [
        {"askback-sqlite": [turn([2.0], trips=100)], "dbos": [turn([4.0], trips=50)]},
        {"askback-sqlite": [turn([20.0], trips=10)], "dbos": [turn([60.0], trips=1)]},
        {"askback-sqlite": [turn([1.0], trips=100)], "dbos": [turn([4.0], trips=25)]},
        {"askback-sqlite": [turn([1.0])]},
    ]
    ratios = {ratio.metric: ratio for ratio in all_ratios(rounds, SYSTEMS)}
    assert (ratios["p50"].ratio, ratios["p50"].low, ratios["p50"].high) == (3.0, 2.0, 4.0)
    assert (ratios["trips"].ratio, ratios["trips"].low, ratios["trips"].high) == (4.0, 2.0, 10.0)
    assert ratios["p50"].rounds == 3
    assert {ratio.peer for ratio in ratios.values()} == {"dbos"}


def test_the_report_has_figures_ratios_and_reasons() -> None:
    rounds = [{"askback-postgres": [turn([2.5])], "restate-awakeable": [turn([1250.0])]}]
    text = report(rounds, SYSTEMS, {"temporal": "no wheel"})
    assert "| Askback, PostgreSQL | 2.50 (2.50–2.50) |" in text
    assert "| Restate, question by a function call | postgres | 500 (500–500) |" in text
    assert "- skipped temporal: no wheel" in text
    assert "restate-sdk 1.3.0, hypercorn 0.18.0, restate-server 1.7.12" in text
    content = json.loads(to_json({}, rounds, SYSTEMS, {}))
    assert content["rounds"][0]["restate-awakeable"][0]["alone"] == [1250.0]


def test_a_system_that_does_not_start_is_skipped_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = System("gone", "gone", "A system without a module", "", "no")
    with ExitStack() as stack:
        comparison = Comparison(stack, [gone], tmp_path)
        comparison.start()
    assert "No module named 'peers.gone'" in comparison.skipped["gone"]
    assert "skipped gone: its process ended with exit code 1: " in capsys.readouterr().out


def test_a_system_without_its_tools_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    restate = next(system for system in SYSTEMS if system.node_package)
    with pytest.raises(Unavailable, match="needs npm"):
        install(restate, tmp_path)


class FailingHost:
    """A host whose system does not start, or fails in a turn."""

    def __init__(self, *_: object, starts: bool = False) -> None:
        self.starts, self.stopped = starts, 0

    def wait_until_started(self) -> None:
        if not self.starts:
            raise Unavailable("it hangs")

    def measure(self, _: Sizes) -> Turn:
        raise Unavailable("it hangs")

    def stop(self) -> None:
        self.stopped += 1


@pytest.mark.parametrize("starts", [True, False])
def test_a_system_that_fails_is_stopped_before_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts: bool
) -> None:
    host = FailingHost(starts=starts)
    monkeypatch.setattr(comparison_module, "Host", lambda *_: host)
    monkeypatch.setattr(comparison_module, "install", lambda *_: ("", ""))
    with ExitStack() as stack:
        comparison = Comparison(stack, [System("hung", "hung", "A system that hangs", "", "no")], tmp_path)
        comparison.start()
        comparison._run_round(0, Sizes())
        assert comparison.skipped == {"hung": "it hangs"}
        assert host.stopped, "it would go on beside all others"
