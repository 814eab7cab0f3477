"""`askback demo`: one of the examples, from the first question to the result.

The server and the example's worker run as separate processes. While a question is open the server is killed
with SIGKILL and started again; nothing is lost.
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
from askback._console.console import Console
from askback._console.console_prompt import ConsolePrompt
from askback._console.console_view import Closing
from askback.demo import processes
from askback.demo.events import JobEvents
from askback.demo.narrator import Narrator
from askback.demo.page import page_port, show_page
from askback.demo.people import AtTerminal, Person, Scripted
from askback.demo.story import Story, load
from askback.terminal.terminal import NoKeyboard
from askback.terminal.words import closing_words, now

STEP_SECONDS = 60.0
"""Seconds that the scripted demo may take for one step."""


def run_demo(name: str, *, human: bool, db: str | None) -> int:
    """Play the story of this name. Returns 0 only if the job completed, 130 if the person ended the demo.

    The result of a scripted story must match the answers.
    """
    # The demo kills its server and reports that itself.
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
    web_port = page_port() if human else None
    server = processes.server(port, url, folder / "server.log", web_port)
    worker = processes.worker(port, story.worker, folder / "worker.log")
    try:
        pid = await server.start()
        await worker.start()
        database = "SQLite" if url.startswith("sqlite") else "PostgreSQL"
        narrator.say("server", f"starts on 127.0.0.1:{port}, pid {pid}, with {database}")
        narrator.say("worker", f"starts {story.worker.parent.name}/{story.worker.name}")
        async with (
            Client(
                f"127.0.0.1:{port}", user=story.user, groups=story.groups, connect_timeout=STEP_SECONDS
            ) as client,
            client.console() as console,
            asyncio.timeout(None if human else 4 * STEP_SECONDS),
        ):
            group = f", of the group {', '.join(story.groups)}" if story.groups else ""
            narrator.say("console", f"opens for {story.user}{group}")
            person = AtTerminal(narrator, story.user) if human else Scripted(narrator, story)
            if human:
                narrator.say(story.user, "is you; Ctrl-C ends the demo")
            if web_port is not None:
                show_page(narrator, story, web_port)
            return await _follow_job(narrator, story, client, console, server, person, human)
    except (EOFError, NoKeyboard):
        raise
    except Exception as error:
        print(f"the demo failed: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"--- server ---\n{server.tail()}\n--- worker ---\n{worker.tail()}", file=sys.stderr)
        return 1
    finally:
        await worker.end()
        await server.end()


async def _follow_job(
    narrator: Narrator,
    story: Story,
    client: Client,
    console: Console,
    server: processes.Process,
    person: Person,
    human: bool,
) -> int:
    run = await client.start(story.job_type, story.input, request_id="demo")
    narrator.say("client", f"starts the job {run.job_id}")
    events = JobEvents(narrator, run)
    following = asyncio.create_task(events.tell())
    answering = asyncio.create_task(_answer_prompts(narrator, story, console, server, person, events))
    try:
        await asyncio.wait((following, answering), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            await answering  # it ends only by an error
        await following
    finally:
        for task in (following, answering):
            task.cancel()
        await asyncio.gather(following, answering, return_exceptions=True)
    job = await run.job()
    narrator.say("client", f"has the result: {job.result}" if job.result else f"is told: {job.failure}")
    if job.state != "COMPLETED":
        return 1
    if human:
        print('\nNext: write a worker of your own; README\'s "A worker in ten lines" is one.')
        return 0
    if job.result != story.result:
        print(f"the result is not what was answered: {job.result}", file=sys.stderr)
        return 1
    print("demo: the job completed with exactly the answers given, across a kill -9 of the server")
    return 0


async def _answer_prompts(
    narrator: Narrator,
    story: Story,
    console: Console,
    server: processes.Process,
    person: Person,
    events: JobEvents,
) -> None:
    """Answer the prompts until cancelled; kill the server once."""
    killed = False
    async for prompt in console.prompts():
        await events.wait_for_prompt(prompt.prompt_id)
        with events.hold():
            narrator.say("console", f"shows [{prompt.kind}] {prompt.title}")
            if prompt.key == story.kill_at and not killed:
                killed = True
                await _kill_and_restart(narrator, console, server, prompt)
            await _answer_unless_closed(narrator, console, person, prompt)


async def _answer_unless_closed(
    narrator: Narrator, console: Console, person: Person, prompt: ConsolePrompt
) -> None:
    """Let the person answer; end the question if it is answered in the page before."""
    closed: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()

    def note(closing: Closing) -> None:
        if closing.prompt_id != prompt.prompt_id or closing.why == "removed" or closed.done():
            return
        # The closing by the person's own answer may come before the reply to it, which is still awaited.
        if not prompt.is_answering:
            closed.set_result(closing)

    unsubscribe = console.on_closed(note)
    answering = asyncio.create_task(person.answer(prompt))
    try:
        await asyncio.wait((answering, closed), return_when=asyncio.FIRST_COMPLETED)
        if not closed.done():
            await answering
            return
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        end = closed.result()
        if end.resolution is not None and end.resolution.answer is not None:
            narrator.say("page", f"{closing_words(end, now())}: {prompt.title}")
    finally:
        unsubscribe()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


async def _kill_and_restart(
    narrator: Narrator, console: Console, server: processes.Process, prompt: ConsolePrompt
) -> None:
    """Kill the server with the question open, and restart it on the same database."""
    await server.end(signal.SIGKILL)
    narrator.say("server", "is killed (SIGKILL) while the question is open")
    console.caught_up.clear()
    started = perf_counter()
    pid = await server.start()
    async with asyncio.timeout(STEP_SECONDS):
        await console.caught_up.wait()
    took = (perf_counter() - started) * 1000
    narrator.say("server", f"is back after {took:.0f} ms, pid {pid}; nothing is lost")
    if not prompt.still_open:
        raise RuntimeError("the question is gone")
    narrator.say("console", f"still shows [{prompt.kind}] {prompt.title}")
