"""A client of a server: runs one job that asks, or reads one. Prints the result as a JSON line."""

import asyncio
import json
import sys

from askback import Client
from askback._wire.channel import Tls
from askback._worker.worker import Worker


async def ask_and_answer(target: str, token: str, tls: Tls | None = None) -> dict[str, str]:
    """Run one job that asks, as client, worker and console. Returns its id, state and result."""
    worker = Worker(target, worker_id="w", token=token, tls=tls or False)

    @worker.job("nod")
    async def nod(job, what: str) -> str:  # type: ignore[no-untyped-def]
        consent = await job.confirm(what, key="ok")
        return f"{consent.by}: {bool(consent)}"

    async with (
        Client(target, token=token, tls=tls or False) as client,
        client.console() as console,
        worker,
    ):
        run = await client.start("nod", {"what": "Really?"})
        await (await anext(console.prompts())).approve()
        result = await run.result()
        return {"job_id": run.job_id, "state": (await run.job()).state.name, "result": result}


async def read_job(target: str, token: str, job_id: str) -> dict[str, str]:
    """Read a job. Returns its id and state."""
    async with Client(target, token=token) as client:
        return {"job_id": job_id, "state": (await client.get(job_id)).state.name}


if __name__ == "__main__":
    server, secret, *job = sys.argv[1:]
    found = asyncio.run(read_job(server, secret, *job) if job else ask_and_answer(server, secret))
    print(json.dumps({"event": "end", **found}))
