"""One prompt while a person works on it: what happens to it meanwhile is told at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from askback._client.client import Client
from askback._console.desk import CaughtUp, Closing
from askback._model.prompts import PromptInfo
from askback.errors import AskbackError, PromptClosed, PromptStale
from askback.terminal import words
from askback.terminal.board import Row
from askback.terminal.draft import Typed
from askback.terminal.guard import Guarded, Moved
from askback.terminal.pages import show_prompt
from askback.terminal.terminal import Terminal

T = TypeVar("T")


async def work_on(
    client: Client,
    prompt: PromptInfo,
    terminal: Terminal,
    work: Callable[[Row[PromptInfo], Guarded], Awaitable[T]],
    typed: Typed | None = None,
    *,
    revision: int | None = None,
) -> T:
    """Show a prompt and let the person work on it; again, from the beginning, when its content changes.

    Raises PromptClosed if it has ended or ends meanwhile, PromptStale if it is not at `revision` (None:
    any will do), EOFError, and what `work` raises.
    """
    typed = Typed() if typed is None else typed
    while True:
        if revision is not None and prompt.revision != revision:
            raise _stale(prompt)
        async with _followed(client, prompt, terminal) as row:
            try:
                guarded = Guarded(terminal, row)
                await show_prompt(terminal, row, guarded, warnings=await job_warnings(client, row.prompt))
                if row.prompt.is_open:
                    return await work(row, guarded)
            except Moved:
                await tell_moved(
                    terminal, f"{row.epitaph(words.now())}: {row.prompt.title}", row.prompt, typed
                )
            except PromptStale as error:
                if error.prompt is None:
                    raise
                row.prompt = error.prompt
                await tell_moved(
                    terminal, f"{row.epitaph(words.now())}: {row.prompt.title}", row.prompt, typed
                )
        prompt = row.prompt if row.closing is None else await client.prompt(prompt.prompt_id)
        if not prompt.is_open or row.closing is not None:
            raise ended(prompt)


async def job_warnings(client: Client, prompt: PromptInfo) -> list[str]:
    """What a person should know of the job that asks; empty if there is nothing, or it may not be read."""
    if not prompt.is_open:
        return []
    try:
        job = await client.get(prompt.job_id)
    except AskbackError:
        return []
    if not job.proto.HasField("cancel_request_time"):
        return []
    return ["the job is being cancelled: a yes may come to nothing"]


def ended(prompt: PromptInfo) -> PromptClosed:
    """The error that an answer to this prompt would raise."""
    error = PromptClosed("the prompt has ended", metadata={"state": str(prompt.state)})
    error.prompt = prompt
    return error


def _stale(prompt: PromptInfo) -> PromptStale:
    error = PromptStale("the question has changed")
    error.prompt = prompt
    return error


async def tell_moved(terminal: Terminal, what: str, prompt: PromptInfo, typed: Typed) -> None:
    """Say what happened under the person's hands, and wait until they have seen it.

    Nothing that was typed goes on from here; it is written out, and `typed` offers it again.
    """
    terminal.paper.line(f"+ {what}", "warning")
    while (await terminal.choose("  What you typed was not sent. Press Enter to go on: ")).strip():
        pass
    if typed:
        terminal.paper.line("  What you had typed:", "quiet")
        typed.write(terminal.paper, prompt)


@asynccontextmanager
async def _followed(client: Client, prompt: PromptInfo, terminal: Terminal) -> AsyncIterator[Row[PromptInfo]]:
    """A row that is kept up to date. A server that does not let it be watched is heard when it answers."""
    row = Row(1, prompt)
    watching = asyncio.create_task(_follow(client, row, terminal))
    try:
        yield row
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _follow(client: Client, row: Row[PromptInfo], terminal: Terminal) -> None:
    seen = False
    async for change in client.watch_prompts(job_id=row.prompt.job_id):
        if isinstance(change, PromptInfo) and change.prompt_id == row.prompt.prompt_id:
            seen = True
            _take(row, change, terminal)
        elif isinstance(change, Closing) and change.prompt_id == row.prompt.prompt_id:
            row.closing = change
            row.moved.set()
        elif isinstance(change, CaughtUp) and not seen and row.prompt.is_open:
            await _look(client, row)


def _take(row: Row[PromptInfo], newest: PromptInfo, terminal: Terminal) -> None:
    before, row.prompt = row.prompt, newest
    if before.revision != newest.revision:
        row.moved.set()
    elif before.claimed_by != newest.claimed_by:
        who = words.claim(newest, words.now())
        terminal.notice(f"* {who} has taken it on" if who else "* it was given back", "warning")


async def _look(client: Client, row: Row[PromptInfo]) -> None:
    """The prompt is not among those that are open for this person: has it ended?"""
    try:
        newest = await client.prompt(row.prompt.prompt_id)
    except AskbackError:
        return
    if not newest.is_open:
        row.closing = Closing(newest.prompt_id, newest.job_id, "closed", newest.resolution)
        row.moved.set()
