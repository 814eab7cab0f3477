"""The SDK's worker at a real server: a job whose result or failure is refused ends with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from askback import Client, Job, NonRetryable, Worker
from tests.support.requests import FAILED
from tests.support.service import ServiceWorld


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class _Hidden(Exception):
    pass


class Fehlerüberlauf(Exception):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot say")


def failing(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


ENDS: dict[str, tuple[Callable[[], Any], str]] = {
    "over the limit": (lambda: "x" * 300_000, "InvalidResult"),
    "over a message": (lambda: "x" * (5 * 1024 * 1024), "InvalidResult"),
    "too deep": (lambda: deep(100), "InvalidResult"),
    "endlessly deep": (lambda: deep(100_000), "InvalidResult"),
    "no number": (lambda: {"x": float("nan")}, "InvalidResult"),
    "infinite": (lambda: [float("inf")], "InvalidResult"),
    "nul": (lambda: "a\0b", "InvalidResult"),
    "lone surrogate": (lambda: "\ud800", "InvalidResult"),
    "no json": (object, "InvalidResult"),
    "private class": (failing(_Hidden("x")), "Hidden"),
    "german class": (failing(Fehlerüberlauf("x")), "Fehler_berlauf"),
    "odd code": (failing(NonRetryable("x", code="no such order!")), "no_such_order_"),
    "long message": (failing(ValueError("ü" * 1_000_000)), "ValueError"),
    "nul in the message": (failing(ValueError("a\0b \ud800")), "ValueError"),
    "no message": (failing(Mute()), "Mute"),
}


async def test_any_return_value_or_exception_ends_the_job(
    lite: ServiceWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "askback.worker")  # pytest-xdist cannot send a lone surrogate in its reports
    worker = Worker(f"127.0.0.1:{lite.service.port}", user="ada", capacity=len(ENDS))

    @worker.job("t")
    async def end(job: Job, how: str) -> Any:
        return ENDS[how][0]()

    async with worker, Client(f"127.0.0.1:{lite.service.port}", user="ada") as client:
        runs = {how: await client.start("t", {"how": how}, max_attempts=1) for how in ENDS}
        jobs = await asyncio.gather(*(lite.state(run.job_id, FAILED) for run in runs.values()))
        assert worker.connected
    codes = {how: job.failure.code for how, job in zip(runs, jobs, strict=True)}
    assert codes == {how: code for how, (_, code) in ENDS.items()}
    assert all(job.failure.message for job in jobs)
