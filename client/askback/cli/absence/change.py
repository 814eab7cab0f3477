"""`askback absence set` and `askback absence delete`."""

from __future__ import annotations

from datetime import datetime

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.time_types import LocalTime


@click.command("set", cls=Command)
@click.option(
    "--from",
    "since",
    type=LocalTime(),
    metavar="TIME",
    help="When it begins: 2026-12-01, 2026-12-01T13:00, or 2h from now. [default: now, or as it is]",
)
@click.option(
    "--until",
    type=LocalTime(),
    metavar="TIME",
    help="When you are there again: 2026-12-04 is the beginning of that day. Required.",
)
@click.option("--substitute", default="", metavar="USER", help="Who stands in. [default: no one]")
@click.option("--comment", default="", help="For everyone in the namespace to read.")
@click.option("--person", "subject", default="", metavar="USER", help="Another person, for admins.")
@click.option("--id", "absence_id", default="", metavar="ID", help="Change this absence.")
@client_command
async def set_absence(
    context: CommandContext,
    since: datetime | None,
    until: datetime | None,
    substitute: str,
    comment: str,
    subject: str,
    absence_id: str,
) -> None:
    """Say that you are away, and who stands in.

    Times are local unless they have a zone. The substitute may answer the prompts that name you, and the
    prompts that were delegated to you by name; prompts for a group are left to its other members. With --id
    an absence is changed: what is not named is empty then, except --from.

    \b
      askback absence set --until 2026-12-04 --substitute ben --comment "back on Friday"
      askback absence set --person ana --from 2026-12-21 --until 2027-01-04 --substitute ben
    """
    from datetime import UTC

    from askback.cli.absence.words import absence_words
    from askback.cli.record import record

    if until is None:
        raise click.UsageError("say until when: --until 2026-12-04")
    stored = await context.client.set_absence(
        until,
        since=since,
        substitute=substitute,
        comment=comment,
        subject=subject,
        absence_id=absence_id,
    )
    if context.out.as_record:
        context.out.record(record(stored.proto))
        return
    context.out.line(context.out.style(absence_words(stored, datetime.now(UTC))))
    context.out.note(f"to end it: {context.connection.command(f'absence delete {stored.absence_id}')}")


@click.command(cls=Command)
@click.argument("absence_id", metavar="ID")
@client_command
async def delete(context: CommandContext, absence_id: str) -> None:
    """End an absence now, or before it begins. ID is as `absence ls` shows it.

    The substitute's right ends with it; with a claim it stays until the claim ends. Exit code 3 if you have
    no such absence.
    """
    from askback._text.text import one_line
    from askback.cli.record import record

    ended = await context.client.delete_absence(absence_id)
    if context.out.as_record:
        context.out.record(record(ended.proto))
    else:
        context.out.line(context.out.style(f"the absence of {one_line(ended.subject)} is over"))
