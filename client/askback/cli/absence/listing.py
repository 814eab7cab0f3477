"""`askback absence ls`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command

if TYPE_CHECKING:
    from askback._model.absences import Absence
    from askback._text.table import Column

_COMMENT_WIDTH = 30


@click.command(cls=Command)
@click.option("--person", "subject", default="", metavar="USER", help="Those of this person; @me: yourself.")
@click.option("--all", "every", is_flag=True, help="Also those that are over.")
@client_command
async def ls(context: CommandContext, subject: str, every: bool) -> None:
    """List absences that are not over.

    On a pipe, or with -o tsv, each absence is a line with tabs between person, from, until, substitute,
    comment, id and set by, without a header; times are in UTC. With --json one absence a line.
    """
    from askback.cli.record import record

    if subject == "@me":
        subject = (await context.client.whoami()).subject
    found: list[Absence] = []
    async for absence in context.client.list_absences(subject=subject, include_past=every, page_size=500):
        if context.out.as_json:
            context.out.json(record(absence.proto))
        elif context.out.as_tsv:
            context.out.tsv(_row(absence))
        found.append(absence)
    if context.out.as_json:
        return
    if not context.out.as_tsv:
        context.out.table(_columns(found, exact=context.out.verbose))
    context.out.note(f"{len(found)} absence{'' if len(found) == 1 else 's'}")


def _columns(found: Sequence[Absence], *, exact: bool) -> list[Column]:
    from datetime import UTC

    from askback._text.spans import day_words, exact_time
    from askback._text.table import Column

    now = datetime.now(UTC)

    def time(moment: datetime | None) -> str:
        if moment is None:
            return ""
        return exact_time(moment) if exact else day_words(moment, now)

    return [
        Column("PERSON", [each.subject for each in found], important=True),
        Column("FROM", [time(each.since) for each in found], important=True),
        Column("UNTIL", [time(each.until) for each in found], important=True),
        Column("SUBSTITUTE", [each.substitute for each in found], important=True),
        Column("COMMENT", [each.comment for each in found], maximum=_COMMENT_WIDTH, informative=True),
        Column("ID", [each.absence_id for each in found], important=True),
        Column("SET BY", [each.set_by for each in found]),
    ]


def _row(absence: Absence) -> list[object]:
    """One absence for a program, with the fields listed in `ls`."""
    from askback.terminal.prompt_table import instant

    return [
        absence.subject,
        instant(absence.since),
        instant(absence.until),
        absence.substitute,
        absence.comment,
        absence.absence_id,
        absence.set_by,
    ]
