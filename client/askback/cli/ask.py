"""`askback ask`: a question to people without a worker, as a gate in a script."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from askback.cli.candidates import kinds
from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.group_approval import GroupApproval
from askback.cli.time_types import EscalationStep, Span

if TYPE_CHECKING:
    from askback._client.run import Run
    from askback._model.prompts import PromptInfo


_APPROVED_KINDS = frozenset({"confirm", "preview", "validate", "structure_fix"})
"""The kinds whose decisions several people can make together; others offer RESPOND."""


@click.command(cls=Command)
@click.argument("title")
@click.option(
    "--to", multiple=True, metavar="group:NAME", help="Whom to ask; user:NAME too. [default: everyone]"
)
@click.option(
    "--kind",
    shell_complete=kinds,
    help="[default: confirm; clarify with --choice or --form; preview with --editable]",
)
@click.option("--body", default="", help="More about it in Markdown: text, @FILE, or - for stdin.")
@click.option(
    "--choice",
    "choices",
    multiple=True,
    metavar="VALUE[=TITLE]",
    help="One of the values to choose from. Repeat it, or separate values by commas.",
)
@click.option(
    "--form",
    metavar="FILE",
    help="A JSON Schema of type object: values are wanted. FILE or @FILE, - for stdin.",
)
@click.option("--contents", multiple=True, metavar="FILE", help="Show this file: Markdown, diff, JSON, text.")
@click.option("--editable", is_flag=True, help="People may edit the files.")
@click.option("--deadline", type=Span(), help="How long people have: 90s, 4h, 2d. [default: no limit]")
@click.option(
    "--default",
    metavar="ANSWER",
    help="The answer when the deadline passes: yes or no; one of the choices; the form's values as JSON.",
)
@click.option(
    "--escalate",
    "steps",
    multiple=True,
    type=EscalationStep(),
    metavar="SPAN=group:NAME[,user:NAME]",
    help="Whom to ask as well after this time without an answer.",
)
@click.option("--approvals", type=click.IntRange(1), help="How many people must approve. [default: one]")
@click.option(
    "--group-approval",
    "group_approvals",
    multiple=True,
    type=GroupApproval(),
    metavar="GROUP=N",
    help="How many of them must be members of this group.",
)
@click.option("--reject-at", type=click.IntRange(1), help="How many must reject it. [default: one]")
@click.option(
    "--rules-may-fill",
    "by_rules",
    type=click.IntRange(1),
    help="How many of them rules may give, each in its author's name. [default: none]",
)
@click.option("--exclude-requester", is_flag=True, help="The asker may not answer.")
@click.option(
    "--exclude",
    "excluded",
    multiple=True,
    metavar="user:NAME",
    help="Who may not answer; group:NAME too.",
)
@click.option("--hide-from-excluded", is_flag=True, help="They do not see the question either.")
@click.option(
    "--delegate-to",
    "delegates",
    multiple=True,
    metavar="user:NAME",
    help="To whom people may delegate it; group:NAME too. `audience`: to those who are asked. "
    "[default: anyone]",
)
@click.option("--no-delegation", is_flag=True, help="No one may delegate it, and substitutes may not answer.")
@click.option("--remind", type=Span(), help="Remind people every SPAN while it is open.")
@click.option("--label", "label_pairs", multiple=True, metavar="NAME=VALUE", help="A label to filter by.")
@click.option("--group-key", default="", metavar="TEXT", help="The same for similar questions.")
@click.option("--priority", default=0, show_default=True, help="Higher is shown first.")
@click.option("--request-id", help="Asking again with the same id returns the same question.")
@click.option("--no-wait", is_flag=True, help="Print the job's id and do not wait.")
@click.option("--cancel-on-interrupt", is_flag=True, help="Ctrl-C or SIGTERM withdraws the question.")
@client_command
async def ask(
    context: CommandContext,
    title: str,
    request_id: str | None,
    no_wait: bool,
    cancel_on_interrupt: bool,
    **asked: Any,
) -> int | None:
    """Ask people without a worker: exit 0 for yes, 5 for no, 6 for no answer.

    Waits for the answer and prints it.

    \b
      askback ask "Deploy 1.4?" --to group:release --deadline 4h && ./deploy
      target=$(askback ask "Where to?" --choice staging --choice production)
      askback ask "Refund?" --to group:desk --escalate 1h=group:leads --remind 30m
      askback ask "Release?" --approvals 2 --group-approval qa=1 --exclude-requester
      askback ask "Pay?" --to user:ana --delegate-to group:finance

    0 is a yes or an answer (a default's too), 5 a no or a withdrawn question, 6 a deadline that passed
    without one, also where the default was no.

    Ctrl-C leaves the question open, and says how to take it up again. People who see it are not told that
    the asker has gone, and their answer is kept: use --cancel-on-interrupt if nothing would read it.
    """
    import asyncio
    import uuid

    from askback.cli.ask_report import report_asked
    from askback.cli.record import record
    from askback.terminal.vote_words import vote_warnings

    request_id = request_id or uuid.uuid4().hex
    run: Run | None = None
    try:
        run = await context.client.ask(title, request_id=request_id, **question(title, **asked))
        for warning in vote_warnings(run.prompt, None) if run.prompt else ():
            context.out.note(f"! {warning}")
        if no_wait:
            if run.prompt and not run.prompt.is_open:
                await report_asked(context, run, run.prompt)
            if context.out.as_json:
                context.out.json(record((await run.job()).proto))
            else:
                context.out.line(run.job_id)
            return None
        return await _wait_for_answer(context, run)
    except asyncio.CancelledError:
        await _report_interrupt(context, run, request_id, cancel=cancel_on_interrupt)
        raise


def question(
    title: str,
    *,
    kind: str | None,
    body: str,
    choices: tuple[str, ...],
    form: str | None,
    contents: tuple[str, ...],
    editable: bool,
    deadline: timedelta | None,
    default: str | None,
    steps: tuple[tuple[timedelta, tuple[str, ...]], ...],
    label_pairs: tuple[str, ...],
    approvals: int | None,
    group_approvals: tuple[tuple[str, int], ...],
    reject_at: int | None,
    by_rules: int | None,
    exclude_requester: bool,
    excluded: tuple[str, ...],
    hide_from_excluded: bool,
    delegates: tuple[str, ...],
    no_delegation: bool,
    **rest: Any,
) -> dict[str, Any]:
    """The arguments of the SDK's `ask` for these options. Raises click.UsageError."""
    from askback._model.approvals import Approval
    from askback._model.content import prompt_content
    from askback._model.escalation import After, Exclude
    from askback.cli.ask_default import choice_question, default_answer, parse_choices
    from askback.cli.contents import content_of
    from askback.cli.delegation_policy import policy_of
    from askback.cli.job_input import labels, parse_json, read_source

    if choices and form:
        raise click.UsageError("--choice and --form do not go together")
    if default is not None and deadline is None:
        raise click.UsageError("--default needs --deadline")
    if editable and not contents:
        raise click.UsageError("--editable needs --contents")
    shape: Any = None
    if form:
        shape = parse_json(read_source(form if form[0] in "@-" else f"@{form}", "--form"), "--form")
        if not isinstance(shape, dict):
            raise click.UsageError(f"--form: {form} must be a JSON Schema of type object")
    elif choices:
        offered = parse_choices(choices)
        shape = [choice_question(title, offered)]
    kind = kind or ("preview" if editable else "clarify" if shape else "confirm")
    escalate = [After(after).to(*names) for after, names in steps]
    exclude = None
    if exclude_requester or excluded:
        exclude = Exclude(exclude_requester, names=excluded, hide=hide_from_excluded)
    elif hide_from_excluded:
        raise click.UsageError("--hide-from-excluded needs --exclude or --exclude-requester")
    approval = None
    if approvals or group_approvals or reject_at or by_rules:
        # Without a number it is as many as the groups need, or one.
        required = approvals or (0 if group_approvals else 1)
        approval = Approval(required, dict(group_approvals), reject_at or 0, rules_may_fill=by_rules or 0)
    delegation = policy_of(delegates, none=no_delegation)
    try:
        prompt_content(
            "",
            kind="confirm",
            to=rest.get("to", ()),
            escalate=escalate,
            exclude=exclude,
            delegation=delegation,
        )
    except ValueError:
        raise click.UsageError(
            "--to, --exclude, --escalate and --delegate-to take user:NAME and group:NAME"
        ) from None
    return {
        **rest,
        "kind": kind,
        "body": read_source(body, "--body"),
        "form": shape,
        "contents": [content_of(path, number, editable) for number, path in enumerate(contents, 1)],
        "decisions": () if approval is None or kind in _APPROVED_KINDS else ("ACCEPT", "REVISE", "REJECT"),
        "deadline": deadline,
        "default": None
        if default is None
        else default_answer(default, kind, offered if choices else None, form, approved=approval is not None),
        "escalate": escalate,
        "exclude": exclude,
        "approval": approval,
        "delegation": delegation,
        "labels": labels(label_pairs),
    }


async def _wait_for_answer(context: CommandContext, run: Run) -> int:
    """Wait for the end of the prompt, print the answer and return the exit code."""
    from contextlib import suppress

    from askback.cli.ask_report import report_asked
    from askback.cli.outcome_exits import answer_exit
    from askback.cli.record import record
    from askback.cli.words import resolution_words
    from askback.errors import JobCancelled, JobFailed

    assert run.prompt is not None  # the job was created with it
    await report_asked(context, run, run.prompt)
    with suppress(JobCancelled, JobFailed):  # the prompt has more details
        await run.result()
    prompt = await context.client.prompt(run.prompt.prompt_id)
    assert prompt.resolution is not None
    if context.out.as_json:
        context.out.json(record(prompt.proto))
        return answer_exit(prompt)
    printed = answer_text(prompt)
    if printed is None:
        context.out.line(resolution_words(prompt.resolution))
    else:
        context.out.note(resolution_words(prompt.resolution))
        context.out.line(printed)
    return answer_exit(prompt)


def answer_text(prompt: PromptInfo) -> str | None:
    """The part of an answer for scripts: the chosen value, the values as JSON, or the text; else None."""
    from askback._model.enums import DecisionKind
    from askback._model.form import VALUE
    from askback._text.text import strip_hidden
    from askback.cli.words import json_words

    answer = prompt.answered
    if answer is None:
        return None
    if answer.values is not None:
        chosen = answer.values.get(VALUE) if list(answer.values) == [VALUE] else None
        return strip_hidden(chosen) if isinstance(chosen, str) else json_words(answer.values_json)
    return strip_hidden(answer.comment) if answer.decision is DecisionKind.RESPOND else None


async def _report_interrupt(
    context: CommandContext, run: Run | None, request_id: str, *, cancel: bool
) -> None:
    """Withdraw the question with `cancel`; else say that it stays open, and how to continue."""
    out, connection = context.out, context.connection
    if run is None:
        again = f"the same command with --request-id {request_id} takes it up"
        out.report_interrupt(f"interrupted while asking; {again}", requestId=request_id)
    elif cancel:
        await run.cancel("the asker was interrupted")
        out.report_interrupt("interrupted: the question is withdrawn", jobId=run.job_id)
    else:
        out.report_interrupt(
            "interrupted: the question stays open\n"
            f"  wait for its answer: {connection.command(f'job watch {run.job_id}')}\n"
            f"  withdraw it:         {connection.command(f'job cancel {run.job_id}')}",
            jobId=run.job_id,
            requestId=request_id,
        )
