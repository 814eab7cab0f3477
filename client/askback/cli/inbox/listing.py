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
    "--closed",
    is_flag=True,
    help="Those that have ended, by a person or by their deadline, the latest first.",
)
@click.option("--group-key", default="", metavar="KEY", help="Similar ones, which have this key.")
@click.option(
    "--sort",
    "order",
    type=click.Choice(ORDERS),
    default="urgency",
    show_default=True,
    help="urgency: what ends within 5 minutes, then by priority, deadline and age.",
)
@click.option(
    "--limit", default=_DEFAULT_LIMIT, show_default=True, type=click.IntRange(0), help="0: all of them."
)
@click.option("--watch", is_flag=True, help="Stay, and print every change.")
@client_command
async def ls(
    context: CommandContext,
    states: tuple[str, ...],
    closed: bool,
    group_key: str,
    order: str,
    limit: int,
    watch: bool,
    **options: Any,
) -> None:
    """List open prompts, the most urgent first.

    With --closed, those that have ended. Repeating an option means OR; different options, and labels of
    different names, mean AND. A table has the columns that fit the terminal and that differ between its rows;
    -v has whole ids and times. On a pipe, or with -o tsv, each prompt is a line with tabs between deadline,
    kind, title, id, claimed by, asked at, job type, priority, state, job id, ended at and ended by, without a
    header. With --json one prompt a line; with --watch and --json one event a line: open, closed, removed,
    caughtUp.
    """
    from askback.cli.inbox.list_watch import watch_prompts
    from askback.cli.inbox.urgent import ending_soon
    from askback.cli.record import record

    chosen = {name: options.pop(name) for name in ("mine", "overdue", "unattended", "answered_by")}
    if watch:
        narrowing = {"state": states, "closed": closed, "group_key": group_key, **chosen}
        other = next((name for name, given in narrowing.items() if given), None)
        other = other or ("sort" if order != "urgency" else "limit" if limit != _DEFAULT_LIMIT else None)
        if other:
            raise click.UsageError(
                f"--watch follows open prompts; --{other.replace('_', '-')} does not go with it"
            )
        await watch_prompts(context, await view(context.client, options))
        return
    if closed:
        _check_closed(states, order)
        chosen["order"] = "CLOSE_TIME"
    if chosen["answered_by"] == "@me":
        chosen["answered_by"] = (await context.client.whoami()).subject
    narrowed = {**await view(context.client, options), **chosen, "states": [STATES[s] for s in states]}
    first = []
    if order == "urgency" and _is_open(narrowed):
        first = await ending_soon(context.client, narrowed)
    found, total = await _read_prompts(context, narrowed, order, 0 if group_key else limit, first)
    if group_key:  # the service has no filter for it
        found = [prompt for prompt in found if prompt.group_key == group_key]
        total = len(found)
    shown = found[:limit] if limit else found
    if context.out.as_json:
        for prompt in shown:
            context.out.json(record(prompt.proto))
        return
    await write_prompts(context, shown)
    note = _count(len(shown), total, limit, _state_words(states, closed, chosen["answered_by"]))
    alone = await _count_unattended(context, narrowed, found, total)
    if alone:
        note += f"; no one else is here to answer {'them' if alone == total else f'{alone} of them'}"
    context.out.note(note)


def _check_closed(states: Sequence[str], order: str) -> None:
    """Refuse what does not go with --closed. Raises UsageError."""
    if "open" in states:
        raise click.UsageError("--closed lists prompts that have ended; --state open does not go with it")
    if order != "urgency":
        raise click.UsageError("--closed lists the latest end first; --sort does not go with it")


def _state_words(states: Sequence[str], closed: bool, answered_by: str) -> str:
    return " or ".join(states) or ("closed" if closed else "answered" if answered_by else "open")


def _count(shown: int, total: int, limit: int, state: str) -> str:
    """How many prompts there are, and how many of them are shown. The service does not count all closed ones
    of a namespace."""
    if total < 0:
        more = "; there may be more: --limit 0 lists all" if shown == limit else ""
        return f"{shown} {state}{more}"
    return f"{total} {state}" + (f", {shown} shown; --limit 0 lists all" if shown < total else "")


def _is_open(narrowed: dict[str, Any]) -> bool:
    """Whether open prompts are listed."""
    ended = narrowed["answered_by"] or "order" in narrowed
    return not ended and (not narrowed["states"] or "PENDING" in narrowed["states"])


async def _read_prompts(
    context: CommandContext, narrowed: dict[str, Any], order: str, limit: int, first: Sequence[PromptInfo]
) -> tuple[list[PromptInfo], int]:
    """The prompts to list, those of `first` before the others, and the number of matching ones; -1 if it was
    not counted.

    The server sorts by urgency, or closed ones by their end; for any other order all matching prompts are
    read and sorted here.
    """
    found, known = [*first], {prompt.prompt_id for prompt in first}
    token = ""
    maximum = limit if order == "urgency" else 0
    while True:
        size = min(max(maximum - len(found), 0) + len(known), _PAGE_SIZE) if maximum else _PAGE_SIZE
        page = await context.client.prompt_page(**narrowed, page_size=size, page_token=token)
        found += [prompt for prompt in page.prompts if prompt.prompt_id not in known]
        token = page.next_page_token
        if not token or (maximum and len(found) >= maximum):
            break
    if order != "urgency":
        found = _sort(found, order)
    return (found[:limit] if limit else found), page.total if page.total < 0 else max(page.total, len(found))


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
    if context.out.quiet or not _is_open(narrowed):
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
    from askback.terminal.prompt_work import job_warnings, person_for
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
    person = await person_for(context.client, [found])
    write_prompt(writer, found, at, full=full, exact=exact, warnings=warnings, person=person)
    if answers:
        writer.line()
        writer.line(f"  Submissions: {len(records)}", "title")
        for entry in records:
            write_submission(writer, entry, at, exact=exact)
