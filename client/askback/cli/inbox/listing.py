"""`askback inbox ls` and `askback inbox show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.inbox.view import open_prompts, view, view_options
from askback.cli.naming import prompt_of
from askback.cli.session import Session, client_command

if TYPE_CHECKING:
    from askback.desk import Closing
    from askback.prompts import PromptInfo

STATES = {
    "open": "PENDING",
    "answered": "ANSWERED",
    "expired": "EXPIRED",
    "withdrawn": "CANCELLED",
    "superseded": "SUPERSEDED",
}


@click.command(cls=Command)
@view_options
@click.option("--state", "states", multiple=True, type=click.Choice(list(STATES)), help="[default: open]")
@click.option("--unattended", is_flag=True, help="Only those that nobody is there for.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="0: all of them.")
@click.option("--watch", is_flag=True, help="Stay, and tell every change.")
@client_command
async def ls(
    session: Session, states: tuple[str, ...], unattended: bool, limit: int, watch: bool, **options: Any
) -> None:
    """List what waits, the most urgent first.

    By priority, then deadline, then age; you see what you may answer. Repeating an option means OR;
    different options, and labels of different names, mean AND. With --json one prompt a line; with
    --watch and --json one event a line: open, closed, removed, caughtUp.
    """
    from askback.cli.record import record

    if watch:
        if states or unattended:
            other = "--state" if states else "--unattended"
            raise click.UsageError(f"--watch follows open prompts; {other} does not go with it")
        await _watch(session, await view(session.client, options))
        return
    found: list[PromptInfo] = []
    token, total = "", 0
    narrowed = {
        **await view(session.client, options),
        "states": [STATES[s] for s in states],
        "unattended": unattended,
    }
    while True:
        size = min(limit - len(found), 500) if limit else 500
        page = await session.client.prompt_page(**narrowed, page_size=size, page_token=token)
        found += page.prompts
        total, token = page.total, page.next_page_token
        if not token or (limit and len(found) >= limit):
            break
    if session.out.as_json:
        for prompt in found:
            session.out.json(record(prompt.proto))
        return
    _table(session, found)
    missed = sum(prompt.unattended_since is not None for prompt in found)
    more = f", {missed} of them with nobody there who may answer" if missed else ""
    more += f", {len(found)} shown; --limit 0 lists all" if token else ""
    session.out.note(f"{total} {' or '.join(states) or 'open'}{more}")


def _table(session: Session, prompts: list[PromptInfo]) -> None:
    import shutil

    from askback.terminal.queue import aligned, cells
    from askback.terminal.words import now

    at = now()
    rows = [cells(prompt, at) for prompt in prompts]
    width = shutil.get_terminal_size().columns if session.out.is_terminal else 0
    if rows:
        lines = aligned(rows, width=width)
        for line in lines[1:] if session.out.quiet else lines:
            session.out.line(line)


async def _watch(session: Session, narrowed: dict[str, Any]) -> None:
    """The queue as it is, then a line for each change; after a break only what changed meanwhile."""
    from askback.cli.record import record
    from askback.desk import Closing
    from askback.prompts import PromptInfo
    from askback.terminal.board import urgency
    from askback.terminal.words import leaving, left, now

    out = session.out
    known: dict[str, PromptInfo] = {}
    live = False
    async for change in session.client.watch_prompts(**narrowed):
        if isinstance(change, PromptInfo):
            before = known.get(change.prompt_id)
            known[change.prompt_id] = change
            if out.as_json:
                out.json({"event": "open", "prompt": record(change.proto)})
            elif live:
                what = "new" if before is None else f"now {_difference(before, change)}"
                out.line(_line("*", change, f"{what}, {left(change, now())} left"))
        elif isinstance(change, Closing):
            gone = known.pop(change.prompt_id, None)
            if out.as_json:
                out.json(_closing_record(change))
            elif live and gone is not None:
                out.line(_line("+", gone, leaving(change, now())))
        elif out.as_json:
            out.json({"event": "caughtUp", "openPrompts": change.open_prompts})
        elif not live:
            live = True
            _table(session, sorted(known.values(), key=urgency))
            out.note(f"{len(known)} open; Ctrl-C ends this")


def _difference(before: PromptInfo, now: PromptInfo) -> str:
    if before.revision != now.revision:
        return f"at revision {now.revision}"
    if before.claimed_by != now.claimed_by:
        return f"claimed by {now.claimed_by}" if now.claimed_by else "nobody's"
    return "changed"


def _line(mark: str, prompt: PromptInfo, what: str) -> str:
    from askback.text import one_line

    return f"{mark} {prompt.prompt_id}  {one_line(what)}: [{one_line(prompt.kind)}] {one_line(prompt.title)}"


def _closing_record(closing: Closing) -> dict[str, Any]:
    found: dict[str, Any] = {"event": "closed" if closing.why == "closed" else "removed"}
    found |= {"promptId": closing.prompt_id, "jobId": closing.job_id}
    if closing.resolution is not None:
        found["state"] = str(closing.resolution.state)
        found["actor"] = closing.resolution.actor
        found["reason"] = closing.resolution.reason
        if closing.resolution.answer is not None:
            found["by"] = closing.resolution.answer.by
            found["decision"] = str(closing.resolution.answer.decision)
            if closing.resolution.answer.by_default:
                found["byDefault"] = True
    return found


@click.command(cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@click.option("--answers", is_flag=True, help="Every submission with its verdict: the audit.")
@click.option("--full", is_flag=True, help="Long texts whole.")
@client_command
async def show(session: Session, prompt: str, answers: bool, full: bool) -> None:
    """Show a prompt, and who answered what.

    PROMPT is its id, the end of it as `inbox ls` shows it, or JOB/KEY; it may have ended. With --answers
    and --json: {"prompt": …, "answers": [{"answer": …, "status": …, "violations": …}]}.
    """
    from askback.cli.record import record
    from askback.terminal.following import job_warnings
    from askback.terminal.paper import paper
    from askback.terminal.sheet import write_sheet, write_submission
    from askback.terminal.words import now

    found = await prompt_of(session.client, prompt)
    records = [entry async for entry in session.client.answer_records(found.prompt_id)] if answers else []
    if session.out.as_json:
        shown = record(found.proto)
        session.out.json({"prompt": shown, "answers": [record(r) for r in records]} if answers else shown)
        return
    sheet = paper(plain=not session.out.is_rich)
    write_sheet(sheet, found, now(), full=full, warnings=await job_warnings(session.client, found))
    if answers:
        sheet.line()
        sheet.line(f"  Submissions: {len(records)}", "title")
        for entry in records:
            write_submission(sheet, entry)
