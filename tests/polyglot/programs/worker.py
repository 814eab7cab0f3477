"""The examples' worker with the SDK: `python -m tests.polyglot.programs.worker --server SERVER`."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Annotated

from pydantic import BaseModel, Field

from askback import Job, Worker
from tests.e2e.programs.saying import log_to_stderr, say


class Canary(BaseModel):
    """The answer's form."""

    canary_percent: Annotated[int, Field(ge=1, le=100, title="Percent of the traffic")]


async def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--server")
    worker = Worker(parser.parse_args().server, worker_id="python")

    @worker.job("release")
    async def release(job: Job, version: str) -> dict[str, object]:
        say("leased", job_id=job.job_id, token=job.token)
        answer = await job.ask(f"How far may {version} go at first?", Canary, key="canary")
        return {"released": True, "version": version, "canary_percent": answer.canary_percent}

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with worker:
        say("connected")
        await stop.wait()


if __name__ == "__main__":
    log_to_stderr()
    asyncio.run(main())
