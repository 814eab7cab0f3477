"""`askback inbox withdraw` and `askback inbox override`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.answer import DECISIONS
from askback.cli.inbox.view import open_prompts
from askback.cli.lookup import prompt_of

if TYPE_CHECKING:
    from askback._model.prompts import PromptInfo


@click.command(cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@click.option("--answer-id", help="The id of your vote. [default: your vote on the prompt]")
@client_command
async def withdraw(context: CommandContext, prompt: str, answer_id: str | None) -> None:
    """Withdraw your vote on a prompt.

    Others see it at once. PROMPT is its id, the end of it as `inbox ls` shows it, or JOB/KEY. Exit code 3 if
    you have no vote on it, 4 if it has ended.
    """
    from askback._text.text import one_line
    from askback.cli.record import record
    from askback.errors import NotFound
    from askback.terminal.vote_words import progress_words, vote_of

    found = await prompt_of(context.client, prompt)
    if answer_id is None:
        vote = vote_of(found, await context.client.whoami())
        if vote is None:
            raise NotFound("you have no vote on this prompt", reason="ERROR_REASON_ANSWER_NOT_FOUND")
        answer_id = vote.answer_id
    left = await context.client.withdraw_answer(found, answer_id)
    if context.out.as_json:
        context.out.json(record(left.proto))
    else:
        context.out.line(f"Withdrawn: your vote on {one_line(left.title)}")
        context.out.note("; ".join(progress_words(left)))


@click.command(cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@click.option("--decision", required=True, type=click.Choice(DECISIONS, case_sensitive=False))
@click.option("--comment", required=True, help="Why its rules are overridden. The audit keeps it.")
@click.option("--values", metavar="JSON", help="The form's values as an object: JSON, @FILE, or - for stdin.")
@click.option("--edit", "edits", multiple=True, metavar="CONTENT=@FILE", help="A content's new text, whole.")
@click.option("--revision", type=click.IntRange(1), help="Only if it is at this revision.")
@click.option("--answer-id", help="The same id is the same answer, however often it is given.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@client_command
async def override(
    context: CommandContext,
    prompt: str,
    decision: str,
    comment: str,
    values: str | None,
    edits: tuple[str, ...],
    revision: int | None,
    answer_id: str | None,
    yes: bool,
) -> int | None:
    """Decide a prompt as an admin, whatever its rules say.

    Approval, exclusion and claims do not apply. The answer is marked as an override in the audit and for the
    job. Only in namespaces that the server's setting `allow_override` names. On a terminal the prompt is
    shown and you are asked; without one, --yes or --revision must say that it was read.

    \b
      askback inbox override PROMPT --decision accept --comment "incident 4711: the approvers are away"
    """
    from askback._model.enums import DecisionKind
    from askback._model.shown import set_revision
    from askback.cli.inbox.answer import parse_edit, parse_values
    from askback.cli.inbox.answer_report import VERDICTS, print_outcome, print_refusal

    asks = not yes and revision is None
    if asks and (not sys.stdin.isatty() or context.out.as_json):
        raise click.UsageError("without a terminal --yes or --revision N must say that the prompt was read")
    found, texts = parse_values(values), dict(parse_edit(edit) for edit in edits)
    shown = await prompt_of(context.client, prompt)
    if revision is not None:
        set_revision(shown, revision)
    if asks and not await _confirm(context, shown, decision):
        context.out.note("left as it is")
        return None
    kind = DecisionKind(decision.upper())
    try:
        outcome = await context.client.override(
            shown, kind, comment=comment, values=found, edits=texts, answer_id=answer_id
        )
    except VERDICTS as error:
        return print_refusal(context.out, error)
    print_outcome(context.out, outcome)
    context.out.note("it is marked as an override in the audit")
    return None


async def _confirm(context: CommandContext, prompt: PromptInfo, decision: str) -> bool:
    """Show the prompt and ask the admin whether to override it."""
    from askback.terminal.prompt_text import write_prompt
    from askback.terminal.prompt_work import job_warnings
    from askback.terminal.short_questions import NO_UNLESS_YES, pick
    from askback.terminal.words import now

    terminal = context.terminal()
    warnings = await job_warnings(context.client, prompt)
    write_prompt(terminal.writer, prompt, now(), warnings=warnings)
    terminal.writer.line()
    question = f"Override its rules and decide {decision.lower()}? [y/N] "
    try:
        return await pick(terminal, question, NO_UNLESS_YES)
    except EOFError:
        return False
