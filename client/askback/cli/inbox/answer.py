"""`askback inbox answer`."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.view import open_prompts
from askback.cli.lookup import prompt_of

if TYPE_CHECKING:
    from askback._model.enums import DecisionKind
    from askback._model.prompts import AnswerOutcome, PromptInfo
    from askback.terminal.prompt_dialogue import PromptDialogue
    from askback.terminal.prompt_list import Row
    from askback.terminal.wizard import NotAnswered

DECISIONS = ("accept", "edit", "respond", "revise", "reject", "dismiss")


@click.command(cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@click.argument("pairs", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--decision", type=click.Choice(DECISIONS, case_sensitive=False), help="[default: what fits]")
@click.option("--values", metavar="JSON", help="The form's values as an object: JSON, @FILE, or - for stdin.")
@click.option("--edit", "edits", multiple=True, metavar="CONTENT=@FILE", help="A content's new text, whole.")
@click.option("--like", "voter", metavar="NAME", help="Vote like this person: the same changes and values.")
@click.option("--comment", default="", help="In your words.")
@click.option(
    "--revision", type=click.IntRange(1), help="Only if it is at this revision. [default: as it is now]"
)
@click.option("--answer-id", help="The same id is the same answer, however often it is given.")
@client_command
async def answer(
    context: CommandContext,
    prompt: str,
    pairs: tuple[str, ...],
    decision: str | None,
    values: str | None,
    edits: tuple[str, ...],
    voter: str | None,
    comment: str,
    revision: int | None,
    answer_id: str | None,
) -> int | None:
    """Answer a prompt: by options, or asked field by field.

    PROMPT is its id, the end of it as `inbox ls` shows it, or JOB/KEY.

    \b
      askback inbox answer PROMPT target=production canary_percent=10
      askback inbox answer PROMPT --decision edit --edit notes=@notes.md
      askback inbox answer PROMPT            # on a terminal: asked field by field

    To a prompt that several people approve your answer is a vote. Exit code 0: your answer counts. 2: refused
    field by field. 3: no such prompt. 4: answered already, changed, or claimed by another person. 6: its
    deadline has passed. 8: it excludes you.
    """
    from askback._model.enums import DecisionKind
    from askback._model.shown import set_revision
    from askback.cli.inbox.answer_report import VERDICTS, print_outcome, print_refusal
    from askback.errors import Unavailable
    from askback.terminal.wizard import CARRIES_VALUES, NotAnswered

    given = pairs or edits or values is not None
    if voter is not None and (given or decision is not None):
        raise click.UsageError("--like takes decision, values and edits from another vote; give no others")
    shown = await prompt_of(context.client, prompt)
    chosen = None if decision is None else DecisionKind(decision.upper())
    offered = [option.decision for option in shown.decisions]
    if chosen is not None and shown.is_open and chosen not in offered:
        words = ", ".join(option.lower() for option in offered)
        raise click.UsageError(f"--decision must be one of: {words} (not {chosen.lower()!r})")
    answer_id = answer_id or uuid.uuid4().hex
    wanted = chosen is None or (chosen in CARRIES_VALUES and shown.schema is not None)
    try:
        if voter is None and not given and sys.stdin.isatty() and not context.out.as_json and wanted:
            outcome: AnswerOutcome | NotAnswered = await _answer_in_dialogue(
                context, shown, chosen, comment or None, revision
            )
            if isinstance(outcome, NotAnswered):
                context.out.note("left as it is")
                return None
        else:
            if revision is not None:
                set_revision(shown, revision)
            if voter is not None:
                outcome = await _answer_like(context, shown, voter, comment, answer_id)
            else:
                outcome = await _answer_from_options(
                    context, shown, chosen, pairs, values, edits, comment, answer_id
                )
    except VERDICTS as error:
        return print_refusal(context.out, error)
    except Unavailable as error:
        again = f"whether it was taken is not known; the same command with --answer-id {answer_id} is safe"
        error.message += f"\n  ({again})"
        raise
    except EOFError:
        context.out.note("left as it is")
        return None
    print_outcome(context.out, outcome)
    return None


async def _answer_like(
    context: CommandContext, prompt: PromptInfo, voter: str, comment: str, answer_id: str
) -> AnswerOutcome:
    """Vote like another person. Raises click.UsageError if that one has no vote."""
    from askback.terminal.vote_words import find_vote

    try:
        vote = find_vote(prompt, voter)
    except LookupError as error:
        raise click.UsageError(f"--like: {error}") from None
    return await context.client.answer(
        prompt, vote.decision, values=vote.values, edits=vote.edits, comment=comment, answer_id=answer_id
    )


async def _answer_from_options(
    context: CommandContext,
    prompt: PromptInfo,
    decision: DecisionKind | None,
    pairs: Sequence[str],
    values: str | None,
    edits: Sequence[str],
    comment: str,
    answer_id: str,
) -> AnswerOutcome:
    """Send the answer that the options describe. Raises click.UsageError."""
    from askback._model.answers import values_decision
    from askback._model.enums import DecisionKind
    from askback.terminal.assignments import parse_assignments
    from askback.terminal.fields import flat
    from askback.terminal.prompt_form import form_of

    found = parse_values(values)
    if pairs:
        try:
            found = parse_assignments(prompt, pairs, found)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    texts = dict(parse_edit(edit) for edit in edits)
    if decision is None:
        if texts:
            decision = DecisionKind.EDIT
        elif found is not None or (comment and values_decision(prompt) is DecisionKind.RESPOND):
            decision = values_decision(prompt)
        else:
            offered = ", ".join(option.decision.lower() for option in prompt.decisions)
            fields = ", ".join(field.name for field in flat(form_of(prompt)) if field.name)
            known = f"; its fields: {fields}" if fields else ""
            raise click.UsageError(
                f"say what: --decision (one of {offered}), FIELD=VALUE, --values or --edit{known}"
            )
    return await context.client.answer(
        prompt, decision, values=found, edits=texts, comment=comment, answer_id=answer_id
    )


def parse_values(values: str | None) -> Any:
    """The object that --values gives; None without it. Raises click.UsageError."""
    from askback.cli.job_input import parse_json, read_source

    if values is None:
        return None
    found = parse_json(read_source(values, "--values"), "--values")
    if not isinstance(found, dict):
        raise click.UsageError("--values: a JSON object is wanted")
    return found


def parse_edit(text: str) -> tuple[str, str]:
    """The content and the text that --edit gives. Raises click.UsageError."""
    from askback.cli.job_input import read_source

    content_id, equals, source = text.partition("=")
    if not (content_id and equals):
        raise click.UsageError(f"--edit {text!r} is not CONTENT=@FILE")
    return content_id, read_source(source, "--edit")


async def _answer_in_dialogue(
    context: CommandContext,
    prompt: PromptInfo,
    decision: DecisionKind | None,
    comment: str | None,
    revision: int | None,
) -> AnswerOutcome | NotAnswered:
    """Show the prompt and ask the person for the answer; NotAnswered if they leave it."""
    from askback.cli.inbox.sender import client_sender
    from askback.terminal.draft import SavedInput
    from askback.terminal.prompt_work import work_on
    from askback.terminal.wizard import ask_for_answer

    terminal, saved = context.terminal(), SavedInput()

    async def fill_in(row: Row[PromptInfo], dialogue: PromptDialogue) -> AnswerOutcome | NotAnswered:
        send = client_sender(context.client, row.prompt, dialogue)
        terminal.writer.line()
        return await ask_for_answer(
            row.prompt,
            dialogue,
            send,
            decision=decision,
            comment=comment,
            saved=saved,
            unseen=row.unseen,
            person=terminal.person,
        )

    return await work_on(context.client, prompt, terminal, fill_in, saved, revision=revision)
