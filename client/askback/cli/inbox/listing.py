"""`askback inbox ls` and `askback inbox show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.prompt_rows import write_prompts
from askback.cli.inbox.view import open_prompts, view, view_options
from askback.cli.lookup import prompt_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askback._model.prompts import PromptInfo

STATES = {
    "open": "PENDING",
    "answered": "ANSWERED",
    "expired": "EXPIRED",
    "withdrawn": "CANCELLED",
    "superseded": "SUPERSEDED",
}
ORDERS = ("urgency", "deadline", "oldest", "newest", "kind", "title")
_DEFAULT_LIMIT = 50
_PAGE_SIZE = 500


@click.command(cls=Command)
@view_options
@click.option("--state", "states", multiple=True, type=click.Choice(list(STATES)), help="[default: open]")
@click.option("--mine", is_flag=True, help="Only those that you have claimed, or that name you.")
@click.option(
    "--overdue", is_flag=True, help="Only open ones that have escalated because they waited too long."
)
@click.option("--unattended", is_flag=True, help="Only those for which no one else has a console open.")
@click.option(
    "--answered-by",
    default="",
    metavar="NAME",
    help="Those that this person answered, the newest answer first; @me: yourself.",
)
@click.option(
    "--sort",
    "order",
    type=click.Choice(ORDERS),
    default="urgency",
    show_default=True,
    help="urgency: by priority, then deadline, then age.",
)
@click.option(
    "--limit", default=_DEFAULT_LIMIT, show_default=True, type=click.IntRange(0), help="0: all of them."
)
@click.option("--watch", is_flag=True, help="Stay, and print every change.")
@client_command
async def ls(
    context: CommandContext, states: tuple[str, ...], order: str, limit: int, watch: bool, **options: Any
) -> None:
    """List open prompts, the most urgent first.

    Repeating an option means OR; different options, and labels of different names, mean AND. A table has
    the columns that fit the terminal and that differ between its rows; -v has whole ids and times. On a
    pipe, or with -o tsv, each prompt is a line with tabs between deadline, kind, title, id, claimed by,
    asked at, job type, priority, state and job id, without a header. With --json one prompt a line; with
    --watch and --json one event a line: open, closed, removed, caughtUp.
    """
    from askback.cli.inbox.list_watch import watch_prompts
    from askback.cli.record import record

    chosen = {name: options.pop(name) for name in ("mine", "overdue", "unattended", "answered_by")}
    if watch:
        other = next((name for name, given in {"state": states, **chosen}.items() if given), None)
        other = other or ("sort" if order != "urgency" else "limit" if limit != _DEFAULT_LIMIT else None)
        if other:
            raise click.UsageError(
                f"--watch follows open prompts; --{other.replace('_', '-')} does not go with it"
            )
        await watch_prompts(context, await view(context.client, options))
        return
    if chosen["answered_by"] == "@me":
        chosen["answered_by"] = (await context.client.whoami()).subject
    narrowed = {**await view(context.client, options), **chosen, "states": [STATES[s] for s in states]}
    found, total = await _read_prompts(context, narrowed, order, limit)
    if context.out.as_json:
        for prompt in found:
            context.out.json(record(prompt.proto))
        return
    write_prompts(context, found)
    note = f"{total} {' or '.join(states) or ('answered' if chosen['answered_by'] else 'open')}"
    if len(found) < total:
        note += f", {len(found)} shown; --limit 0 lists all"
    alone = await _count_unattended(context, narrowed, found, total)
    if alone:
        note += f"; no one else is here to answer {'them' if alone == total else f'{alone} of them'}"
    context.out.note(note)


async def _read_prompts(
    context: CommandContext, narrowed: dict[str, Any], order: str, limit: int
) -> tuple[list[PromptInfo], int]:
    """The prompts to list, and the number of matching ones.

    The server sorts by urgency; for any other order all matching prompts are read and sorted here.
    """
    found: list[PromptInfo] = []
    token = ""
    maximum = limit if order == "urgency" else 0
    while True:
        size = min(maximum - len(found), _PAGE_SIZE) if maximum else _PAGE_SIZE
        page = await context.client.prompt_page(**narrowed, page_size=size, page_token=token)
        found += page.prompts
        token = page.next_page_token
        if not token or (maximum and len(found) >= maximum):
            break
    if order != "urgency":
        found = _sort(found, order)
    return (found[:limit] if limit else found), max(page.total, len(found))


def _sort(found: Sequence[PromptInfo], order: str) -> list[PromptInfo]:
    """The prompts in this order; equal ones stay in the order of urgency."""
    from datetime import UTC, datetime

    far, early = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    keys: dict[str, Any] = {
        "deadline": lambda prompt: prompt.expires_at or far,
        "oldest": lambda prompt: prompt.created_at or early,
        "newest": lambda prompt: prompt.created_at or early,
        "kind": lambda prompt: prompt.kind,
        "title": lambda prompt: prompt.title.casefold(),
    }
    return sorted(found, key=keys[order], reverse=order == "newest")


async def _count_unattended(
    context: CommandContext, narrowed: dict[str, Any], found: Sequence[PromptInfo], total: int
) -> int:
    """The number of matching prompts for which no other person has a console open."""
    is_open = not narrowed["answered_by"] and (not narrowed["states"] or "PENDING" in narrowed["states"])
    if context.out.quiet or not is_open:
        return 0
    if len(found) == total:
        return sum(prompt.unattended_since is not None for prompt in found)
    page = await context.client.prompt_page(**{**narrowed, "unattended": True}, page_size=1)
    return page.total


@click.command(cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@click.option("--answers", is_flag=True, help="Show every submitted answer with its verdict.")
@click.option("--full", is_flag=True, help="Show long texts in full.")
@client_command
async def show(context: CommandContext, prompt: str, answers: bool, full: bool) -> None:
    """Show a prompt and its answers.

    PROMPT is its id, the end of it as `inbox ls` shows it, or JOB/KEY; it may have ended. With --answers
    and --json: {"prompt": …, "answers": [{"answer": …, "status": …, "violations": …}]}.
    """
    from askback.cli.record import record
    from askback.terminal.prompt_text import write_prompt, write_submission
    from askback.terminal.prompt_work import job_warnings
    from askback.terminal.words import now
    from askback.terminal.writer import writer_for

    found = await prompt_of(context.client, prompt)
    records = [entry async for entry in context.client.answer_records(found.prompt_id)] if answers else []
    if context.out.as_record:
        shown = record(found.proto)
        context.out.record({"prompt": shown, "answers": [record(r) for r in records]} if answers else shown)
        return
    writer = writer_for(plain=not context.out.is_rich)
    at, exact = now(), context.out.verbose
    warnings = await job_warnings(context.client, found)
    write_prompt(writer, found, at, full=full, exact=exact, warnings=warnings)
    if answers:
        writer.line()
        writer.line(f"  Submissions: {len(records)}", "title")
        for entry in records:
            write_submission(writer, entry, at, exact=exact)
