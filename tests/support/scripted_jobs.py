"""A job that runs a function of the test, chosen by its name, and a list of the calls that were made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from askback import Job, JobFailed, Run, Worker

worker = Worker(capacity=20)
calls: list[Any] = []


def charge(row: Any) -> str:
    calls.append(row)
    return f"receipt {row}"


Script = Callable[[Job], Awaitable[Any]]
scripts: dict[str, Script] = {}


def script(function: Script) -> Script:
    scripts[function.__name__] = function
    return function


@worker.job("script")
async def run(job: Job, name: str) -> Any:
    return await scripts[name](job)


async def start(function: Script) -> Run[Any]:
    return await run.start(name=function.__name__)


async def result_of(function: Script) -> Any:
    return await (await start(function)).result()


async def fails_once(function: Script, code: str) -> JobFailed:
    """The job fails in its first attempt and is not retried."""
    started = await start(function)
    with pytest.raises(JobFailed) as failed:
        await asyncio.wait_for(started.result(), 10)
    assert failed.value.failure_code == code
    assert (await started.job()).attempt == 1
    return failed.value
