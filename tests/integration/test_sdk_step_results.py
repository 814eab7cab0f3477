"""Results of steps that cannot be stored or do not fit their type: the job fails once."""

from __future__ import annotations

import functools
from collections.abc import Awaitable
from typing import Any

import pytest

from askback import Job, JobFailed
from askback.testing import Human
from tests.support.scripted_jobs import calls, charge, fails_once, script, scripts, start

pytestmark = pytest.mark.usefixtures("no_calls")


def says_int() -> int:
    calls.append("charged")
    return "receipt-17"  # type: ignore[return-value]


async def says_dict() -> dict[str, int]:
    calls.append("charged")
    return ["receipt-17"]  # type: ignore[return-value]


def says_none() -> None:
    calls.append("charged")
    return "receipt-17"  # type: ignore[return-value]


def no_json() -> object:
    calls.append("charged")
    return object()


def not_finite() -> float:
    calls.append("charged")
    return float("nan")


def too_large() -> str:
    calls.append("charged")
    return "x" * 300_000


def promise_int() -> Awaitable[int]:
    async def late() -> Any:
        calls.append("charged")
        return "receipt-17"

    return late()


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (says_int, "annotation of says_int, int"),
        (functools.partial(says_int), "annotation of says_int, int"),
        (says_dict, "annotation of says_dict, dict"),
        (says_none, "annotation of says_none, None"),
        (promise_int, "annotation of promise_int, int"),
        (no_json, "that JSON cannot hold"),
        (not_finite, "cannot be kept"),
        (too_large, "cannot be kept"),
    ],
    ids=range(8),
)
async def test_a_result_that_does_not_fit_fails_once(human: Human, function: Any, says: str) -> None:
    async def unfit(job: Job) -> Any:
        return await job.step("charge", function)

    scripts["unfit"] = unfit
    failed = await fails_once(unfit, "InvalidStep")
    assert "the step 'charge'" in str(failed)
    assert says in str(failed)
    assert calls == ["charged"]


class NoJson:
    """A type without a pydantic schema."""


def says_no_json() -> NoJson:
    calls.append("charged")
    return NoJson()


@pytest.mark.parametrize("function", [says_no_json, 5, "charge", None], ids=range(4))
async def test_a_step_whose_result_cannot_be_stored_is_refused_before_it_runs(
    human: Human, function: Any
) -> None:
    async def unkept(job: Job) -> Any:
        return await job.step("charge", function)

    scripts["unkept"] = unkept
    await fails_once(unkept, "InvalidStep")
    assert calls == []


def now_int() -> int:
    calls.append("again")
    return 17


@script
async def type_changed(job: Job) -> Any:
    if job.attempt == 1:
        await job.step("charge", charge, "A")
        raise ConnectionError("deployed meanwhile")
    return await job.step("charge", now_int)


async def test_a_stored_result_of_another_type_fails_the_job_once(human: Human) -> None:
    started = await start(type_changed)
    with pytest.raises(JobFailed, match="stored result of the step 'charge' does not fit") as failed:
        await started.result()
    assert failed.value.failure_code == "InvalidStep"
    assert (await started.job()).attempt == 2
    assert calls == ["A"]
