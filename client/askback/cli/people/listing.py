"""`askback people ls`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.time_types import Moment

if TYPE_CHECKING:
    from askback._model.people import Person
    from askback._text.table import Column

_GROUPS_WIDTH = 30
_NAME_WIDTH = 24


@click.command(cls=Command)
@click.argument("query", default="")
@click.option("--in-group", default="", metavar="NAME", help="In this group.")
@click.option("--at", type=Moment(), help="As the groups were then: 2026-11-25T08:00Z, or 4h ago.")
@click.option("--all", "every", is_flag=True, help="Also people who are not active.")
@client_command
async def ls(context: CommandContext, query: str, in_group: str, at: datetime | None, every: bool) -> None:
    """List people by subject; with QUERY those whose subject or name begins so.

    On a pipe, or with -o tsv, each person is a line with tabs between subject, name, groups, last seen,
    active, e-mail, time zone and language, without a header. With --json one person a line, with the dates
    of the memberships.
    """
    from askback.cli.record import record

    found: list[Person] = []
    async for person in context.client.list_people(
        query=query, group=in_group, at=at, include_inactive=every, page_size=500
    ):
        if context.out.as_json:
            context.out.json(record(person.proto))
        elif context.out.as_tsv:
            context.out.tsv(_row(person))
        found.append(person)
    if context.out.as_json:
        return
    if not context.out.as_tsv:
        context.out.table(_columns(found, exact=context.out.verbose))
    context.out.note(f"{len(found)} {'person' if len(found) == 1 else 'people'}")


def _columns(found: Sequence[Person], *, exact: bool) -> list[Column]:
    from datetime import UTC

    from askback._text.spans import Times
    from askback._text.table import Column

    times = Times(datetime.now(UTC), exact)
    return [
        Column("SUBJECT", [each.subject for each in found], important=True),
        Column("NAME", [each.display_name for each in found], maximum=_NAME_WIDTH, informative=True),
        Column("GROUPS", [",".join(each.groups) for each in found], maximum=_GROUPS_WIDTH, informative=True),
        Column(
            "SEEN" if exact else "SEEN AGO",
            [times.age(each.last_seen) or "never" for each in found],
            informative=True,
        ),
        Column("ACTIVE", ["yes" if each.active else "no" for each in found]),
        Column("E-MAIL", [each.email for each in found]),
        Column("ZONE", [each.time_zone for each in found]),
        Column("LANGUAGE", [each.language for each in found]),
    ]


def _row(person: Person) -> list[object]:
    """One person for a program, with the fields listed in `ls`. Times are in UTC; absent values are empty."""
    from askback.terminal.prompt_table import instant

    return [
        person.subject,
        person.display_name,
        ",".join(person.groups),
        instant(person.last_seen),
        "yes" if person.active else "no",
        person.email,
        person.time_zone,
        person.language,
    ]
