"""A client of a server: runs one job that asks and lets a rule answer, or reads a job. Prints a JSON line."""

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


async def answer_by_rule(target: str, token: str) -> dict[str, str]:
    """Create a rule with a condition, and ask what it answers. Returns its id, and which rule answered.

    The condition needs the library of the extra `rules`.
    """
    example = {"kind": "confirm", "title": "ls?", "metadata": {"tool": "ls"}}
    spec = {
        "name": "list files",
        "reason": "it only reads",
        "match": {"expression": 'metadata.tool == "ls"'},
        "answer": {"decision": "ACCEPT"},
        "matching": [{"content": example}],
        "not_matching": [{"content": {**example, "metadata": {"tool": "rm"}}}],
    }
    async with Client(target, token=token) as client:
        rule = await client.rules.create(spec)
        run = await client.ask("ls?", metadata={"tool": "ls"})
        assert run.prompt is not None
        answer = run.prompt.answered
        return {"rule": rule.rule_id, "answered_by": answer.rule_id if answer else ""}


async def read_job(target: str, token: str, job_id: str) -> dict[str, str]:
    """Read a job. Returns its id and state."""
    async with Client(target, token=token) as client:
        return {"job_id": job_id, "state": (await client.get(job_id)).state.name}


if __name__ == "__main__":
    server, secret, *job = sys.argv[1:]
    found = asyncio.run(read_job(server, secret, *job) if job else ask_and_answer(server, secret))
    found |= {} if job else asyncio.run(answer_by_rule(server, secret))
    print(json.dumps({"event": "end", **found}))
