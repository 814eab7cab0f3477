"""`askback demo`: a release approval from the first question to the result.

A server, a worker and a person, as processes of their own. While a question is open the server is
killed with SIGKILL and started again; nobody loses anything.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from askback import Client
from askback.console import Console
from askback.console_prompt import ConsolePrompt
from askback.demo import processes
from askback.demo.people import EDITED, SCRIPT, Answerer, at_terminal, scripted
from askback.run import Run

CHANGES = ["Approvals in the terminal", "Fixed: the answer is never lost"]
KILL_AT = "notes"
"""The key of the prompt that is open while the server is killed."""
PATIENCE = 60.0
"""Seconds that the scripted demo may take for one step."""


class Story:
    """Prints what happens, with the time since the start."""

    def __init__(self) -> None:
        self._started = perf_counter()

    def say(self, who: str, what: str) -> None:
        """One line."""
        print(f"{perf_counter() - self._started:8.3f} s  {who:<8} {what}", flush=True)


def run_demo(*, human: bool, db: str | None) -> int:
    """Run the demo. Returns 0 only if the job completed with the answers that were given."""
    story = Story()
    with tempfile.TemporaryDirectory(prefix="askback-demo-") as folder:
        url = db or f"sqlite+aiosqlite:///{Path(folder) / 'askback.db'}"
        try:
            return asyncio.run(_play(story, Path(folder), url, at_terminal if human else scripted, human))
        except (KeyboardInterrupt, EOFError):
            print("\nended by the person at the terminal", file=sys.stderr)
            return 130


async def _play(story: Story, folder: Path, url: str, answer: Answerer, human: bool) -> int:
    port = processes.free_port()
    server = processes.server(port, url, folder / "server.log")
    worker = processes.worker(port, folder / "worker.log")
    try:
        pid = await server.start()
        await worker.start()
        story.say("server", f"starts on 127.0.0.1:{port}, pid {pid}, {url.partition(':')[0]}")
        async with Client(f"127.0.0.1:{port}", user="ana") as client, client.console() as desk:
            story.say("console", "is connected as ana")
            async with asyncio.timeout(None if human else 4 * PATIENCE):
                return await _approve(story, client, desk, server, answer, human)
    except EOFError:
        raise  # the person at the terminal has gone
    except Exception as error:
        print(f"the demo failed: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"--- server ---\n{server.tail()}\n--- worker ---\n{worker.tail()}", file=sys.stderr)
        return 1
    finally:
        await worker.end()
        await server.end()


async def _approve(
    story: Story, client: Client, desk: Console, server: processes.Process, answer: Answerer, human: bool
) -> int:
    run = await client.start("release", {"version": "1.4.0", "changes": CHANGES}, request_id="demo-1.4.0")
    story.say("client", f"starts the job {run.job_id}")
    following = asyncio.create_task(_follow(story, run))
    killed = False
    async for prompt in desk.prompts():
        story.say("console", f"shows [{prompt.kind}] {prompt.title}")
        if prompt.key == KILL_AT and not killed:
            killed = True
            await _kill_and_restart(story, desk, server, prompt)
        await answer(prompt, story.say)
        if prompt.key == "go" or following.done():
            break
    await following
    job = await run.job()
    story.say("client", f"the job is {job.state} after {job.version} events: {job.result}")
    return _verdict(job.state == "COMPLETED", job.result or {}, human)


async def _follow(story: Story, run: Run) -> None:
    """Tell the job's events as they come; the watch survives the killed server."""
    async for event in run.watch():
        if event.type == "JOB_PROGRESSED":
            what = f"{event.data['done']}/{event.data['total']} {event.data['message']}"
        elif event.type == "PROMPT_ASKED":
            what = f"asks {event.data['title']!r}"
        elif event.type == "PROMPT_ANSWERED":
            what = f"has its answer: {event.data['decision']}"
        else:
            what = event.type.lower().replace("_", " ")
        story.say("job", f"#{event.seq} {what} ({event.state})")


async def _kill_and_restart(
    story: Story, desk: Console, server: processes.Process, prompt: ConsolePrompt
) -> None:
    """SIGKILL with the question open, then the same database again."""
    await server.end(signal.SIGKILL)
    story.say("server", "is killed (SIGKILL) while the question is open")
    desk.caught_up.clear()
    started = perf_counter()
    pid = await server.start()
    async with asyncio.timeout(PATIENCE):
        await desk.caught_up.wait()
    took = (perf_counter() - started) * 1000
    story.say("server", f"is back after {took:.0f} ms, pid {pid}; the console has resumed")
    if not prompt.still_open:
        raise RuntimeError("the question is gone")
    story.say("console", f"still shows [{prompt.kind}] {prompt.title}")


def _verdict(completed: bool, result: dict[str, Any], human: bool) -> int:
    if not completed:
        return 1
    if human:
        return 0
    plan = SCRIPT["plan"]["values"]
    expected = {
        "released": True,
        "target": plan["target"],
        "canary_percent": plan["canary_percent"],
        "notes": EDITED,
        "approved_by": "ana",
        "comment": SCRIPT["go"]["comment"],
    }
    if result != expected:
        print(f"the result is not what was answered: {result}", file=sys.stderr)
        return 1
    print("demo: the job completed with exactly the answers given, across a kill -9 of the server")
    return 0
