"""`askback demo`: one of the examples, from the first question to the result.

A server, the example's worker and a person, as processes of their own. While a question is open the
server is killed with SIGKILL and started again; nobody loses anything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from time import perf_counter

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from askback import Client
from askback.console import Console
from askback.console_prompt import ConsolePrompt
from askback.demo import processes
from askback.demo.narrator import Narrator
from askback.demo.people import AtTerminal, Person, Scripted
from askback.demo.story import Story, load
from askback.run import Run
from askback.terminal.terminal import NoKeyboard

PATIENCE = 60.0
"""Seconds that the scripted demo may take for one step."""


def run_demo(name: str, *, human: bool, db: str | None) -> int:
    """Play the story of this name. Returns 0 only if the job completed.

    With a script, its result must be what the answers imply. 130 if the person ended it.
    """
    # The demo kills its server and says so itself.
    logging.getLogger("askback.stream").setLevel(logging.ERROR)
    narrator = Narrator()
    try:
        story = load(name, at_terminal=human)
        with tempfile.TemporaryDirectory(prefix="askback-demo-") as folder:
            url = db or f"sqlite+aiosqlite:///{Path(folder) / 'askback.db'}"
            return asyncio.run(_play(narrator, story, Path(folder), url, human))
    except (FileNotFoundError, NoKeyboard) as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\nended by the person at the terminal", file=sys.stderr)
        return 130


async def _play(narrator: Narrator, story: Story, folder: Path, url: str, human: bool) -> int:
    port = processes.free_port()
    server = processes.server(port, url, folder / "server.log")
    worker = processes.worker(port, story.worker, folder / "worker.log")
    try:
        pid = await server.start()
        await worker.start()
        narrator.say("server", f"starts on 127.0.0.1:{port}, pid {pid}, {url.partition(':')[0]}")
        narrator.say("worker", f"is {story.worker.parent.name}/{story.worker.name}")
        async with (
            Client(
                f"127.0.0.1:{port}", user=story.user, groups=story.groups, connect_timeout=PATIENCE
            ) as client,
            client.console() as desk,
            asyncio.timeout(None if human else 4 * PATIENCE),
        ):
            narrator.say("console", f"is connected as {', '.join([story.user, *story.groups])}")
            person = AtTerminal(narrator) if human else Scripted(narrator, story.answers)
            if human:
                narrator.say("person", f"is you: answer as {story.user}; Ctrl-C ends the demo")
            return await _tell(narrator, story, client, desk, server, person, human)
    except (EOFError, NoKeyboard):
        raise
    except Exception as error:
        print(f"the demo failed: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"--- server ---\n{server.tail()}\n--- worker ---\n{worker.tail()}", file=sys.stderr)
        return 1
    finally:
        await worker.end()
        await server.end()


async def _tell(
    narrator: Narrator, story: Story, client: Client, desk: Console, server: processes.Process,
    person: Person, human: bool,
) -> int:  # fmt: skip
    run = await client.start(story.job_type, story.input, request_id="demo")
    narrator.say("client", f"starts the job {run.job_id}")
    following = asyncio.create_task(_follow(narrator, run))
    sitting = asyncio.create_task(_sit(narrator, story, desk, server, person))
    try:
        await asyncio.wait((following, sitting), return_when=asyncio.FIRST_COMPLETED)
        if sitting.done():
            await sitting  # it ends only by an error
        await following
    finally:
        for task in (following, sitting):
            task.cancel()
        await asyncio.gather(following, sitting, return_exceptions=True)
    job = await run.job()
    narrator.say("client", f"the job is {job.state} after {job.version} events: {job.result or job.failure}")
    if job.state != "COMPLETED":
        return 1
    if human:
        return 0
    if job.result != story.result:
        print(f"the result is not what was answered: {job.result}", file=sys.stderr)
        return 1
    print("demo: the job completed with exactly the answers given, across a kill -9 of the server")
    return 0


async def _sit(
    narrator: Narrator, story: Story, desk: Console, server: processes.Process, person: Person
) -> None:
    """Answer what is shown, for ever; the server is killed once."""
    killed = False
    async for prompt in desk.prompts():
        narrator.say("console", f"shows [{prompt.kind}] {prompt.title}")
        if prompt.key == story.kill_at and not killed:
            killed = True
            await _kill_and_restart(narrator, desk, server, prompt)
        await person.answer(prompt)


async def _follow(narrator: Narrator, run: Run) -> None:
    """Tell the job's events as they come; the watch survives the killed server."""
    titles: dict[str, str] = {}
    async for event in run.watch():
        what = event.type.lower().replace("_", " ")
        if event.type == "JOB_PROGRESSED":
            what = f"{event.done}/{event.total} {event.message}"
        elif event.type == "PROMPT_ASKED":
            titles[event.prompt_id] = event.message
            what = f"asks {event.message!r}"
        elif event.type == "PROMPT_ANSWERED":
            what = f"has its answer to {titles[event.prompt_id]!r}: {event.data['decision']}"
        elif event.prompt_id:
            what += f": {titles[event.prompt_id]!r}"
        narrator.say("job", f"#{event.seq} {what} ({event.state})")


async def _kill_and_restart(
    narrator: Narrator, desk: Console, server: processes.Process, prompt: ConsolePrompt
) -> None:
    """SIGKILL with the question open, then the same database again."""
    await server.end(signal.SIGKILL)
    narrator.say("server", "is killed (SIGKILL) while the question is open")
    desk.caught_up.clear()
    started = perf_counter()
    pid = await server.start()
    async with asyncio.timeout(PATIENCE):
        await desk.caught_up.wait()
    took = (perf_counter() - started) * 1000
    narrator.say("server", f"is back after {took:.0f} ms, pid {pid}; the console has resumed")
    if not prompt.still_open:
        raise RuntimeError("the question is gone")
    narrator.say("console", f"still shows [{prompt.kind}] {prompt.title}")
