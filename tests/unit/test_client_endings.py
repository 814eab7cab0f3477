"""However a job ends, and whatever of that the server refuses, the job comes to an end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from askback._model.nonretryable import NonRetryable
from askback._worker.job import Job
from askback._worker.runner import code_of, text_of
from askback.v1 import stream_pb2
from askback_server.domain.checks import Checker
from askback_server.domain.limits import Limits
from tests.support.worker_bench import Bench


def refusal(code: int, reason: str) -> dict[str, Any]:
    return {"error": stream_pb2.FrameError(code=code, reason=f"ERROR_REASON_{reason}", message="no")}


INVALID = refusal(3, "INVALID_FIELD")
REFUSALS = {
    "invalid": INVALID,
    "forbidden": refusal(7, "PERMISSION_DENIED"),
    "too large": refusal(8, "LIMIT_EXCEEDED"),
    "not now": refusal(9, "ILLEGAL_STATE"),
    "a bug": refusal(13, "INTERNAL"),
}


class Unwritable:
    """Its own code raises while it is written."""

    def __iter__(self) -> Any:
        raise RuntimeError("not today")


def circle() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "result",
    [object(), Unwritable(), circle(), {"x": {1, object()}}, "lone \ud800", b"\xff\xfe", {"k": lambda: 0}],
    ids=["object", "raises", "circle", "nested", "surrogate", "bytes", "function"],
)
async def test_a_result_that_json_cannot_hold_fails_the_job_once(bench: Bench, result: Any) -> None:
    async def fn(job: Job) -> Any:
        return result

    await bench.start(fn)
    bench.lease()
    failed = (await bench.ended()).fail_job
    assert (failed.failure.code, failed.retryable) == ("InvalidResult", False)
    assert "cannot be written as JSON" in failed.failure.message


async def test_a_result_that_fits_into_no_message_fails_the_job_and_not_the_stream(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        return "x" * (5 * 1024 * 1024)

    await bench.start(fn)
    bench.lease()
    failed = (await bench.ended()).fail_job
    assert (failed.failure.code, failed.retryable) == ("InvalidResult", False)
    assert "fit into one message" in failed.failure.message
    assert bench.worker.connected


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refused_result_fails_the_job(bench: Bench, refused: dict[str, Any]) -> None:
    async def fn(job: Job) -> Any:
        return 1

    await bench.start(fn)
    bench.lease()
    bench.stream.send((await bench.stream.next("complete_job")).ref, **refused)
    failed = (await bench.ended()).fail_job
    assert failed.failure.code == ("InvalidResult" if refused is INVALID else "ResultRefused")
    assert failed.retryable is (refused is not INVALID)


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refused_failure_releases_the_job(bench: Bench, refused: dict[str, Any]) -> None:
    async def fn(job: Job) -> Any:
        raise ValueError("bad")

    await bench.start(fn)
    bench.lease()
    bench.stream.send((await bench.stream.next("fail_job")).ref, **refused)
    assert (await bench.ended()).release_job.job_id == "j1"


@pytest.mark.parametrize("reason", [*REFUSALS, "lost"])
async def test_when_every_end_is_refused_the_heartbeat_leaves_the_job_out(bench: Bench, reason: str) -> None:
    """The server finds the difference and takes the job back."""

    async def fn(job: Job) -> Any:
        return 1

    await bench.start(fn)
    bench.lease()
    refused = REFUSALS.get(reason, refusal(9, "LEASE_LOST"))
    for end in ("complete_job",) if reason == "lost" else ("complete_job", "fail_job", "release_job"):
        bench.stream.send((await bench.stream.next(end)).ref, **refused)
    await bench.holds(0)
    assert bench.worker._protocol is not None
    beat = bench.worker._protocol.heartbeat(leaving=False).heartbeat
    assert (beat.received, beat.leases.count, beat.leases.digest) == (1, 0, 0)


class _Hidden(Exception):
    pass


class Größe(Exception):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot say")


@pytest.mark.parametrize(
    "error",
    [
        _Hidden("x"),
        Größe("x"),
        type("N" * 300, (Exception,), {})("x"),
        type("___", (Exception,), {})("x"),
        NonRetryable("x", code="not found!"),
        NonRetryable("x", code="-"),
        Mute(),
        ValueError("nul \0, lone \ud800"),
        ValueError("ü" * 400_000),
        KeyError("\ud800"),
    ],
    ids=lambda error: type(error).__name__[:10],
)
async def test_every_exception_becomes_a_failure_that_the_server_takes(
    bench: Bench,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(
        "CRITICAL", "askback.worker"
    )  # a report of pytest's workers cannot hold a lone surrogate

    async def fn(job: Job) -> Any:
        raise error

    await bench.start(fn)
    bench.lease()
    failure = (await bench.ended()).fail_job.failure
    check = Checker(Limits())
    check.name("code", failure.code)
    check.text("message", failure.message, Limits().json_bytes)
    check.done()


def test_usual_names_and_messages_stay_as_they_are() -> None:
    assert code_of(ValueError("x")) == "ValueError"
    assert code_of(NonRetryable("x", code="card/declined-2.1_a")) == "card/declined-2.1_a"
    assert code_of(_Hidden("x")) == "Hidden"
    assert text_of(ValueError("käse\nbrot")) == "käse\nbrot"


async def test_a_question_that_fits_into_no_message_fails_the_job(bench: Bench) -> None:
    async def fn(job: Job) -> Any:
        await job.confirm("Go?", key="go", body="x" * (5 * 1024 * 1024))

    await bench.start(fn)
    bench.lease()
    failed = (await bench.ended()).fail_job
    assert (failed.failure.code, failed.retryable) == ("MessageTooLarge", False)
    await asyncio.sleep(0)
    assert bench.worker.connected
