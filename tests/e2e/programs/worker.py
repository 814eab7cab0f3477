"""A worker by the SDK: `python -m tests.e2e.programs.worker SERVER NAME FOLDER [OPTIONS]`.

A job of the type `story` does a step before each question and one at its end; each step leaves a line
in FOLDER/effects.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from askback import Job, Worker
from tests.e2e.programs.saying import log_to_stderr, passes, say

parser = argparse.ArgumentParser()
parser.add_argument("server")
parser.add_argument("name")
parser.add_argument("folder")
parser.add_argument("--capacity", type=int, default=20)
parser.add_argument("--park-after", type=float)
arguments = parser.parse_args()
worker = Worker(
    arguments.server,
    worker_id=arguments.name,
    capacity=arguments.capacity,
    park_after=arguments.park_after,
)


def effect(job: Job, step: str) -> str:
    """Something that must not be repeated."""
    say("step", job_id=job.job_id, token=job.token, step=step)
    with Path(arguments.folder, "effects").open("ab", buffering=0) as effects:
        effects.write(f"{job.job_id} {step} {job.token} {arguments.name}\n".encode())
    return f"{step} by {arguments.name}"


async def question(job: Job, key: str) -> str:
    """A step, a question."""
    await job.step(f"before {key}", effect, job, f"before {key}")
    value: str = await job.ask(f"What about {key}?", str, key=key)
    say("answered", job_id=job.job_id, token=job.token, key=key, value=value)
    return value


@worker.job("story")
async def story(
    job: Job, keys: list[str], at_once: bool = False, gate: str = "", gate_at: str = ""
) -> dict[str, str]:
    """Ask for every key, one by one or at once. `gate_at` names the step after which it waits."""
    say("runs", job_id=job.job_id, token=job.token, attempt=job.attempt)
    try:
        await job.step("first", effect, job, "first")
        if gate_at == "first":
            say("at gate", job_id=job.job_id, token=job.token)
            await passes(gate)
        if at_once:
            answers = await asyncio.gather(*(question(job, key) for key in keys))
        else:
            answers = [await question(job, key) for key in keys]
        await job.progress(len(keys), len(keys), "all is answered")
        await job.step("last", effect, job, "last")
    except BaseException as error:
        say("stopped", job_id=job.job_id, token=job.token, why=type(error).__name__, text=str(error))
        raise
    say("done", job_id=job.job_id, token=job.token)
    return dict(zip(keys, answers, strict=True))


async def main() -> None:
    """Work until SIGTERM."""
    log_to_stderr()
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    async with worker:
        say("connected")
        await asked.wait()
    say("left")


if __name__ == "__main__":
    asyncio.run(main())
