"""A worker that uses the SDK: `python -m tests.e2e.programs.worker SERVER NAME FOLDER [OPTIONS]`.

A job of type `story` runs a step first, one before each question and one last; each step appends a line to
FOLDER/effects.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from askback import Job, Worker
from tests.e2e.programs.saying import log_to_stderr, say, wait_for_gate

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
    """Append a line: an effect that must not be repeated."""
    say("step", job_id=job.job_id, token=job.token, step=step)
    with Path(arguments.folder, "effects").open("ab", buffering=0) as effects:
        effects.write(f"{job.job_id} {step} {job.token} {arguments.name}\n".encode())
    return f"{step} by {arguments.name}"


async def question(job: Job, key: str) -> str:
    """Run a step, then ask a question."""
    await job.step(f"before {key}", effect, job, f"before {key}")
    value: str = await job.ask(f"What about {key}?", str, key=key)
    say("answered", job_id=job.job_id, token=job.token, key=key, value=value)
    return value


@worker.job("story")
async def story(
    job: Job, keys: list[str], at_once: bool = False, gate: str = "", gate_at: str = ""
) -> dict[str, str]:
    """Ask for every key, one by one or at once. `gate_at="first"` waits for the gate after that step."""
    say("runs", job_id=job.job_id, token=job.token, attempt=job.attempt)
    try:
        await job.step("first", effect, job, "first")
        if gate_at == "first":
            say("at gate", job_id=job.job_id, token=job.token)
            await wait_for_gate(gate)
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
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with worker:
        say("connected")
        await stopped.wait()
    say("left")


if __name__ == "__main__":
    asyncio.run(main())
