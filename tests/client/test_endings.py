"""A job ends even if the server refuses its result or its failure."""

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
from tests.support.worker_harness import WorkerHarness


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
    """An exception whose `__str__` raises."""

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
async def test_a_result_that_json_cannot_hold_fails_the_job_once(harness: WorkerHarness, result: Any) -> None:
    async def fn(job: Job) -> Any:
        return result

    await harness.start(fn)
    harness.lease()
    failed = (await harness.wait_for_end()).fail_job
    assert (failed.failure.code, failed.retryable) == ("InvalidResult", False)
    assert "cannot be written as JSON" in failed.failure.message


async def test_a_result_larger_than_a_message_fails_the_job_and_not_the_stream(
    harness: WorkerHarness,
) -> None:
    async def fn(job: Job) -> Any:
        return "x" * (5 * 1024 * 1024)

    await harness.start(fn)
    harness.lease()
    failed = (await harness.wait_for_end()).fail_job
    assert (failed.failure.code, failed.retryable) == ("InvalidResult", False)
    assert "fit into one message" in failed.failure.message
    assert harness.worker.connected


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refused_result_fails_the_job(harness: WorkerHarness, refused: dict[str, Any]) -> None:
    async def fn(job: Job) -> Any:
        return 1

    await harness.start(fn)
    harness.lease()
    harness.stream.send((await harness.stream.next("complete_job")).ref, **refused)
    failed = (await harness.wait_for_end()).fail_job
    assert failed.failure.code == ("InvalidResult" if refused is INVALID else "ResultRefused")
    assert failed.retryable is (refused is not INVALID)


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refused_failure_releases_the_job(harness: WorkerHarness, refused: dict[str, Any]) -> None:
    async def fn(job: Job) -> Any:
        raise ValueError("bad")

    await harness.start(fn)
    harness.lease()
    harness.stream.send((await harness.stream.next("fail_job")).ref, **refused)
    assert (await harness.wait_for_end()).release_job.job_id == "j1"


@pytest.mark.parametrize("reason", [*REFUSALS, "lost"])
async def test_when_every_end_is_refused_the_heartbeat_leaves_the_job_out(
    harness: WorkerHarness, reason: str
) -> None:
    """The server notices that the lease is missing and takes the job back."""

    async def fn(job: Job) -> Any:
        return 1

    await harness.start(fn)
    harness.lease()
    refused = REFUSALS.get(reason, refusal(9, "LEASE_LOST"))
    for end in ("complete_job",) if reason == "lost" else ("complete_job", "fail_job", "release_job"):
        harness.stream.send((await harness.stream.next(end)).ref, **refused)
    await harness.wait_until_holding(0)
    assert harness.worker._protocol is not None
    beat = harness.worker._protocol.heartbeat(leaving=False).heartbeat
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
async def test_every_exception_becomes_a_failure_that_the_server_accepts(
    harness: WorkerHarness,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL", "askback.worker")  # pytest-xdist cannot send a lone surrogate in its reports

    async def fn(job: Job) -> Any:
        raise error

    await harness.start(fn)
    harness.lease()
    failure = (await harness.wait_for_end()).fail_job.failure
    check = Checker(Limits())
    check.name("code", failure.code)
    check.text("message", failure.message, Limits().json_bytes)
    check.done()


def test_ordinary_failure_names_and_messages_are_unchanged() -> None:
    assert code_of(ValueError("x")) == "ValueError"
    assert code_of(NonRetryable("x", code="card/declined-2.1_a")) == "card/declined-2.1_a"
    assert code_of(_Hidden("x")) == "Hidden"
    assert text_of(ValueError("käse\nbrot")) == "käse\nbrot"


async def test_a_question_larger_than_a_message_fails_the_job(harness: WorkerHarness) -> None:
    async def fn(job: Job) -> Any:
        await job.confirm("Go?", key="go", body="x" * (5 * 1024 * 1024))

    await harness.start(fn)
    harness.lease()
    failed = (await harness.wait_for_end()).fail_job
    assert (failed.failure.code, failed.retryable) == ("MessageTooLarge", False)
    await asyncio.sleep(0)
    assert harness.worker.connected
