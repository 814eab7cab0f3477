"""`askback inbox approve` and `askback inbox reject`: decide the prompts that are named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.view import open_prompts
from askback.cli.lookup import may_name_prompt, prompt_of

if TYPE_CHECKING:
    from askback._model.enums import DecisionKind
    from askback._model.prompts import AnswerOutcome, PromptInfo
    from askback.cli.inbox.together import Verdict
    from askback.errors import InvalidArgument
    from askback.terminal.prompt_dialogue import PromptDialogue
    from askback.terminal.prompt_list import Row
    from askback.terminal.terminal import Terminal


def _arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.argument("prompts", nargs=-1, required=True, metavar="PROMPT...", shell_complete=open_prompts),
        click.option(
            "--comment", "--reason", "comment", default="", help="In your words; the same for each."
        ),
        click.option("--yes", is_flag=True, help="Do not ask; what is answered is shown on stderr."),
        click.option(
            "--revision", type=click.IntRange(1), help="Only if it is at this revision; for one prompt."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command(cls=Command)
@_arguments
@client_command
async def approve(context: CommandContext, **arguments: Any) -> int:
    """Say yes to the prompts named.

    Each is named by its id, by the end of it as `inbox ls` shows it, or as JOB/KEY. On a terminal each is
    shown and asked about. Without one, --yes answers unread, and shows on stderr what; scripts name what
    was read by --revision. Exit code: that of the first answer that was refused, else 0.
    """
    from askback._model.enums import DecisionKind

    return await _decide(context, lambda prompt: DecisionKind.ACCEPT, **arguments)


@click.command(cls=Command)
@_arguments
@client_command
async def reject(context: CommandContext, **arguments: Any) -> int:
    """Say no to the prompts named.

    Each is named by its id, by the end of it as `inbox ls` shows it, or as JOB/KEY; where no `no` is
    offered, it is dismissed. On a terminal each is shown and asked about. Without one, --yes answers
    unread, and shows on stderr what; scripts name what was read by --revision. Exit code: that of the first
    answer that was refused, else 0.
    """
    from askback._model.answers import negative_decision

    return await _decide(context, negative_decision, **arguments)


async def _decide(
    context: CommandContext,
    which: Callable[[PromptInfo], DecisionKind],
    prompts: tuple[str, ...],
    comment: str,
    yes: bool,
    revision: int | None,
) -> int:
    from askback.cli.exits import Exit

    for name in prompts:
        if not may_name_prompt(name):
            raise click.UsageError(f"{name!r} does not name a prompt; what you say goes into --comment")
    if revision is not None and len(prompts) > 1:
        raise click.UsageError("--revision is for one prompt; name them one by one")
    terminal = None
    if not yes and revision is None:
        if not sys.stdin.isatty() or context.out.as_json:
            raise click.UsageError(
                "without a terminal --yes or --revision N must say that the prompt was read"
            )
        terminal = context.terminal()
    first: int = Exit.DONE
    if terminal is None and len(prompts) > 1:
        verdicts = await _decide_together(context, dict.fromkeys(prompts), which, comment)
        for name, verdict in verdicts.items():
            code = _report(context, name, f"{name}  ", verdict)
            first = first or code
        return first
    for name in dict.fromkeys(prompts):
        prefix = f"{name}  " if len(prompts) > 1 else ""
        decided = await _decide_one(context, name, which, comment, terminal, revision, unread=yes)
        code = _report(context, name, prefix, decided)
        first = first or code
    return first


async def _decide_together(
    context: CommandContext, names: Iterable[str], which: Callable[[PromptInfo], DecisionKind], comment: str
) -> dict[str, Verdict]:
    """Answer the prompts with these names unread, and return a verdict for each, in their order."""
    from askback.cli.inbox.together import answer_together
    from askback.errors import AskbackError

    found: dict[str, PromptInfo | AskbackError] = {}
    for name in names:
        try:
            prompt = await prompt_of(context.client, name)
            await _show_unread(context, prompt)
            found[name] = _misfit_error(context, prompt, which(prompt)) or prompt
        except AskbackError as error:
            found[name] = error
    fitting = {name: prompt for name, prompt in found.items() if not isinstance(prompt, AskbackError)}
    verdicts = await answer_together(context.client, fitting, which, comment)
    return {name: one if isinstance(one, AskbackError) else verdicts[name] for name, one in found.items()}


async def _decide_one(
    context: CommandContext,
    name: str,
    which: Callable[[PromptInfo], DecisionKind],
    comment: str,
    terminal: Terminal | None,
    revision: int | None,
    *,
    unread: bool,
) -> Verdict | None:
    """The verdict on one decision; None if the person changes their mind at the terminal. With `unread`
    the prompt is printed on stderr."""
    from askback._model.shown import set_revision
    from askback.errors import AskbackError

    try:
        prompt = await prompt_of(context.client, name)
        decision = which(prompt)
        if revision is not None:
            set_revision(prompt, revision)
        if unread:
            await _show_unread(context, prompt)
        misfit = _misfit_error(context, prompt, decision)
        if terminal is None:
            return misfit or await context.client.answer(prompt, decision, comment=comment)
        if misfit is not None and decision not in [option.decision for option in prompt.decisions]:
            return misfit
        return await _ask_about(context, prompt, decision, comment, terminal)
    except AskbackError as error:
        return error


async def _ask_about(
    context: CommandContext, prompt: PromptInfo, decision: DecisionKind, comment: str, terminal: Terminal
) -> AnswerOutcome | None:
    """Show a prompt at the terminal and ask for the decision; None if the person changes their mind."""
    from askback.cli.inbox.sender import client_sender
    from askback.terminal.prompt_work import work_on
    from askback.terminal.wizard import NotAnswered, ask_for_answer

    async def ask(row: Row[PromptInfo], dialogue: PromptDialogue) -> AnswerOutcome | None:
        send = client_sender(context.client, row.prompt, dialogue)
        outcome = await ask_for_answer(
            row.prompt,
            dialogue,
            send,
            decision=decision,
            comment=comment or None,
            unseen=row.unseen,
            person=terminal.person,
        )
        return None if isinstance(outcome, NotAnswered) else outcome

    try:
        return await work_on(context.client, prompt, terminal, ask)
    except EOFError:
        return None


def _misfit_error(
    context: CommandContext, prompt: PromptInfo, decision: DecisionKind
) -> InvalidArgument | None:
    """The error for an open prompt that a decision without values cannot answer, with a command that can; or
    None.

    At a terminal the caller ignores it for a decision that is offered: the dialogue asks for the values.
    """
    from askback._model.answers import values_decision
    from askback._model.enums import DecisionKind
    from askback.errors import InvalidArgument
    from askback.terminal.fields import flat
    from askback.terminal.keys import verb_of
    from askback.terminal.prompt_form import form_of

    if not prompt.is_open:
        return None
    offered = [option.decision for option in prompt.decisions]
    fields = [field for field in flat(form_of(prompt)) if field.name]
    if decision in offered:
        needed = [field.name for field in fields if field.required]
        if not needed or decision is not values_decision(prompt):
            return None
        names = needed
    else:
        names = [field.name for field in fields]
    name = f"{prompt.job_id}/{prompt.key}" if prompt.key else prompt.prompt_id
    command = context.connection.command(f"inbox answer {name}")
    if names and values_decision(prompt) in offered:
        why = f"this asks for values: {command} {' '.join(f'{name}=…' for name in names[:3])}"
    elif decision is DecisionKind.ACCEPT and DecisionKind.RESPOND in offered:
        why = f"this asks for an answer in words: {command} --comment …"
    else:
        why = f"{verb_of(decision)} is not offered here; there are: {', '.join(map(verb_of, offered))}"
    return InvalidArgument(why)


async def _show_unread(context: CommandContext, prompt: PromptInfo) -> None:
    """Print the prompt that --yes answers on stderr, even with --quiet, so that a script's log has it."""
    from askback.cli.output import as_json
    from askback.cli.record import record
    from askback.terminal.prompt_text import write_prompt
    from askback.terminal.prompt_work import job_warnings, person_for
    from askback.terminal.words import now
    from askback.terminal.writer import PlainWriter

    if context.out.as_json:
        click.echo(as_json({"unread": record(prompt.proto)}), err=True)
        return
    warnings = await job_warnings(context.client, prompt)
    person = await person_for(context.client, [prompt])
    write_prompt(PlainWriter(sys.stderr), prompt, now(), warnings=warnings, person=person)
    context.out.note(f"--yes answers this unread; --revision {prompt.revision} answers it only as it is here")


def _report(context: CommandContext, name: str, prefix: str, verdict: Verdict | None) -> int:
    """Print the verdict on one answer, and return its exit code. `prefix` names the prompt to people."""
    from askback.cli.exits import Exit, exit_of
    from askback.cli.inbox.answer_report import refusal_record
    from askback.errors import AskbackError

    if not isinstance(verdict, AskbackError):
        _print_outcome(context, name if context.out.as_json else prefix, verdict)
        return Exit.DONE
    if context.out.as_json:
        context.out.json(refusal_record(verdict, name=name))
    else:
        _print_refusal(context, prefix, verdict)
    return exit_of(verdict)


def _print_outcome(context: CommandContext, name: str, outcome: AnswerOutcome | None) -> None:
    """Print the result for one prompt; `name` is empty if only one prompt was named."""
    from askback.cli.inbox.answer_report import outcome_record
    from askback.terminal.verdicts import accepted_words

    if outcome is None:
        context.out.line(context.out.style(f"{name}left as it is"))
    elif context.out.as_json:
        context.out.json({"name": name, **outcome_record(outcome)})
    else:
        context.out.line(f"{context.out.style(name)}{context.out.style(accepted_words(outcome), fg='green')}")


def _print_refusal(context: CommandContext, name: str, error: Any) -> None:
    """Print why one prompt was not answered."""
    from askback.terminal.verdicts import current_question, field_of, refusal_words
    from askback.terminal.words import now

    context.out.line(f"{context.out.style(name)}{context.out.style(refusal_words(error, now()), fg='red')}")
    for violation in error.violations:
        context.out.line(context.out.style(f"    {field_of(violation.field)}: {violation.description}"))
    if asks := current_question(error):
        context.out.line(context.out.style(f"    {asks}"))
