"""`askback inbox claim` and `askback inbox release`."""

from __future__ import annotations

from datetime import timedelta

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.view import open_prompts
from askback.cli.lookup import prompt_of
from askback.cli.time_types import Span


@click.command(cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@click.option("--for", "span", type=Span(), help="How long: 10m, 2h. [default: the server's]")
@client_command
async def claim(context: CommandContext, prompt: str, span: timedelta | None) -> None:
    """Take a prompt on, so that others see it and leave it to you.

    PROMPT is its id, the end of it (6 characters or more), or JOB/KEY. The claim ends by itself; claiming
    again extends it, and `inbox release` ends it. Exit code 4 if another person has claimed it, or it has
    ended.
    """
    from datetime import UTC, datetime

    from askback._model.times import moment
    from askback._text.spans import when
    from askback._text.text import one_line
    from askback.cli.record import record

    found = await prompt_of(context.client, prompt)
    claimed = await context.client.claim(found.prompt_id, None if span is None else span.total_seconds())
    if context.out.as_json:
        context.out.json(record(claimed.proto))
        return
    until = moment(claimed.proto, "claim_expire_time")
    ends = when(until, datetime.now(UTC), exact=context.out.verbose)
    context.out.line(f"Claimed: {one_line(claimed.title)}; the claim ends {ends}")


@click.command(cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@client_command
async def release(context: CommandContext, prompt: str) -> None:
    """End your claim on a prompt.

    Where there is none, nothing changes. PROMPT is its id, the end of it (6 characters or more), or
    JOB/KEY. Exit code 4 if the claim is another person's.
    """
    from askback._text.text import one_line
    from askback.cli.record import record

    found = await prompt_of(context.client, prompt)
    released = await context.client.release(found.prompt_id)
    if context.out.as_json:
        context.out.json(record(released.proto))
    else:
        context.out.line(f"Released: {one_line(released.title)}")
