"""Lets a person work on one prompt, and tells them at once when the prompt changes or ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from askback._client.client import Client
from askback._console.console_view import CaughtUp, Closing
from askback._model.identity import Identity
from askback._model.prompts import PromptInfo
from askback._model.shown import shows_same
from askback.errors import AskbackError, PromptClosed, PromptStale
from askback.terminal import words
from askback.terminal.draft import SavedInput
from askback.terminal.pages import show_prompt
from askback.terminal.prompt_dialogue import PromptChanged, PromptDialogue
from askback.terminal.prompt_list import Row
from askback.terminal.terminal import PersonTerminal
from askback.terminal.vote_words import changes_of_votes, exclusion_error, progress_words

T = TypeVar("T")


async def work_on(
    client: Client,
    prompt: PromptInfo,
    terminal: PersonTerminal,
    work: Callable[[Row[PromptInfo], PromptDialogue], Awaitable[T]],
    saved: SavedInput | None = None,
    *,
    revision: int | None = None,
) -> T:
    """Show a prompt and run `work`, which asks the person; start over when the prompt's content changes.

    Raises PermissionDenied if the prompt excludes the person, PromptClosed if it has ended or ends meanwhile,
    PromptStale if it is not at `revision`
    (None accepts any revision), EOFError, and what `work` raises.
    """
    saved = SavedInput() if saved is None else saved
    while True:
        if revision is not None and prompt.revision != revision:
            raise _stale_error(prompt)
        if terminal.person is None:
            terminal.person = await person_for(client, [prompt])
        async with _watch_row(client, prompt, terminal) as row:
            try:
                dialogue = PromptDialogue(terminal, row)
                await show_prompt(terminal, row, dialogue, warnings=await job_warnings(client, row.prompt))
                if row.prompt.is_open:
                    if (excluded := exclusion_error(row.prompt, terminal.person)) is not None:
                        raise excluded
                    return await work(row, dialogue)
            except PromptChanged:
                await report_change(
                    terminal, f"{row.status_words(words.now())}: {row.prompt.title}", row.prompt, saved
                )
            except PromptStale as error:
                if error.prompt is None:
                    raise
                row.prompt = error.prompt
                await report_change(
                    terminal, f"{row.status_words(words.now())}: {row.prompt.title}", row.prompt, saved
                )
        prompt = row.prompt if row.closing is None else await client.prompt(prompt.prompt_id)
        if not prompt.is_open or row.closing is not None:
            raise closed_error(prompt)


async def person_for(client: Client, prompts: Iterable[PromptInfo]) -> Identity | None:
    """The caller, if some of these prompts exclude people, have votes, or were delegated; else None, without
    a call."""
    if any(
        prompt.exclude is not None or prompt.approval is not None or prompt.proto.delegations
        for prompt in prompts
    ):
        return await client.whoami()
    return None


async def console_person(client: Client) -> Identity | None:
    """The caller, for a console that has just connected; None if the server does not say."""
    try:
        return await client.whoami()
    except AskbackError:
        return None


async def job_warnings(client: Client, prompt: PromptInfo) -> list[str]:
    """Warnings about the job that asks; empty if there are none, or the person may not read the job."""
    if not prompt.is_open:
        return []
    try:
        job = await client.get(prompt.job_id)
    except AskbackError:
        return []
    if not job.proto.HasField("cancel_request_time"):
        return []
    return ["the job is being cancelled: a yes may come to nothing"]


def closed_error(prompt: PromptInfo) -> PromptClosed:
    """The error that an answer to this ended prompt would raise."""
    error = PromptClosed("the prompt has ended", metadata={"state": str(prompt.state)})
    error.prompt = prompt
    return error


def _stale_error(prompt: PromptInfo) -> PromptStale:
    error = PromptStale("the question has changed")
    error.prompt = prompt
    return error


async def report_change(terminal: PersonTerminal, what: str, prompt: PromptInfo, saved: SavedInput) -> None:
    """Say that the prompt has changed or ended during the dialogue, and wait until the person has seen it.

    Nothing that was typed is sent. It is written out, and stays in `saved` to be offered again.
    """
    terminal.writer.line(f"+ {what}", "warning")
    while (await terminal.choose("  What you typed was not sent. Press Enter to go on: ")).strip():
        pass
    if saved:
        terminal.writer.line("  What you had typed:", "quiet")
        saved.write(terminal.writer, prompt)


@asynccontextmanager
async def _watch_row(
    client: Client, prompt: PromptInfo, terminal: PersonTerminal
) -> AsyncIterator[Row[PromptInfo]]:
    """A row that is updated while the context is open.

    If the server refuses to let the prompt be watched, a change shows only when the answer is sent.
    """
    row = Row(1, prompt)
    watching = asyncio.create_task(_apply_changes(client, row, terminal))
    try:
        yield row
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _apply_changes(client: Client, row: Row[PromptInfo], terminal: PersonTerminal) -> None:
    seen = False
    async for change in client.watch_prompts(job_id=row.prompt.job_id):
        if isinstance(change, PromptInfo) and change.prompt_id == row.prompt.prompt_id:
            seen = True
            _update_row(row, change, terminal)
        elif isinstance(change, Closing) and change.prompt_id == row.prompt.prompt_id:
            row.closing = change
            row.changed.set()
        elif isinstance(change, CaughtUp) and not seen and row.prompt.is_open:
            await _check_ended(client, row)


def _update_row(row: Row[PromptInfo], newest: PromptInfo, terminal: PersonTerminal) -> None:
    before, row.prompt = row.prompt, newest
    if not shows_same(before, newest):
        row.changed.set()
    elif before.claimed_by != newest.claimed_by:
        who = words.claim(newest, words.now())
        terminal.notice(f"* {who} has taken it on" if who else "* it was given back", "warning")
    elif what := changes_of_votes(before, newest, terminal.person):
        terminal.notice(f"* {what}: {'; '.join(progress_words(newest))}", "warning")


async def _check_ended(client: Client, row: Row[PromptInfo]) -> None:
    """Read a prompt that is not in the person's view, and mark its row if it has ended."""
    try:
        newest = await client.prompt(row.prompt.prompt_id)
    except AskbackError:
        return
    if not newest.is_open:
        row.closing = Closing(newest.prompt_id, newest.job_id, "closed", newest.resolution)
        row.changed.set()
