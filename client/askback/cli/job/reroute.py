"""`askback job reroute`."""

from __future__ import annotations

from datetime import timedelta

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.view import open_prompts
from askback.cli.lookup import prompt_of
from askback.cli.time_types import EscalationStep, Span


@click.command(cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@click.option("--to", multiple=True, metavar="group:NAME", help="Whom to ask instead; user:NAME too.")
@click.option("--priority", type=int, help="The new priority; higher is shown first.")
@click.option("--deadline", type=Span(), help="How long people have from now: 90s, 4h, 2d.")
@click.option(
    "--escalate",
    "steps",
    multiple=True,
    type=EscalationStep(),
    metavar="SPAN=group:NAME[,user:NAME]",
    help="Whom to ask as well after this time from now without an answer.",
)
@click.option("--no-escalation", is_flag=True, help="End the escalation.")
@click.option("--reason", default="", help="Why, for people.")
@client_command
async def reroute(
    context: CommandContext,
    prompt: str,
    to: tuple[str, ...],
    priority: int | None,
    deadline: timedelta | None,
    steps: tuple[tuple[timedelta, tuple[str, ...]], ...],
    no_escalation: bool,
    reason: str,
) -> None:
    """Change who is asked by an open question, its priority, deadline or escalation.

    The question stays, and so do answers to it. With --to its claim and delegations end, and the votes of
    people who are asked no more. PROMPT is its id, the end of it, or JOB/KEY. For the asker and admins. Exit
    code 4 if it has ended.

    \b
      askback job reroute PROMPT --to group:oncall --deadline 2h --reason "the desk is closed"
    """
    from datetime import UTC, datetime

    from askback._model.escalation import After, address
    from askback._text.spans import when
    from askback._text.text import one_line
    from askback.cli.record import record
    from askback.cli.words import audience_words
    from askback.v1.prompt_pb2 import Audience

    if steps and no_escalation:
        raise click.UsageError("--escalate and --no-escalation contradict each other")
    if not (to or steps or no_escalation or deadline) and priority is None:
        options = "--to, --priority, --deadline, --escalate, --no-escalation"
        raise click.UsageError(f"say what to change: {options}")
    escalate = [After(after).to(*names) for after, names in steps] if steps or no_escalation else None
    try:
        for names in (to, *(names for _, names in steps)):
            address(Audience(), names)
    except ValueError:
        raise click.UsageError("--to and --escalate take user:NAME and group:NAME") from None
    found = await prompt_of(context.client, prompt)
    moved = await context.client.reroute(
        found, to=to or None, priority=priority, deadline=deadline, escalate=escalate, reason=reason
    )
    if context.out.as_json:
        context.out.json(record(moved.proto))
        return
    now, exact = datetime.now(UTC), context.out.verbose
    parts = [f"asked {audience_words(moved)}", f"priority {moved.priority}"]
    parts += [f"deadline {when(moved.expires_at, now, exact=exact)}"] if moved.expires_at else []
    parts += [f"escalates {when(moved.escalates_at, now, exact=exact)}"] if moved.escalates_at else []
    context.out.line(f"Rerouted: {one_line(moved.title)}")
    context.out.note("; ".join(parts))
