"""`askback people groups` and `askback people group`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command

if TYPE_CHECKING:
    from askback._model.people import Group


@click.command(cls=Command)
@client_command
async def groups(context: CommandContext) -> None:
    """List groups and how many active people they have.

    On a pipe, or with -o tsv, each group is a line with tabs between name, people and whether all are known.
    """
    from askback._text.table import Column

    found = [group async for group in context.client.list_groups(page_size=500)]
    for group in found:
        if context.out.as_json:
            context.out.json(_record(group))
        elif context.out.as_tsv:
            context.out.tsv([group.name, group.members, _complete(group)])
    if context.out.as_json:
        return
    if not context.out.as_tsv:
        context.out.table(
            [
                Column("GROUP", [group.name for group in found], important=True),
                Column("PEOPLE", [group.members for group in found], important=True),
                Column("COMPLETE", [_complete(group) for group in found], informative=True),
            ]
        )
    context.out.note(f"{len(found)} group{'' if len(found) == 1 else 's'}")


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--complete/--incomplete", default=None, help="Whether the directory knows all members. Required."
)
@client_command
async def group(context: CommandContext, name: str, complete: bool | None) -> None:
    """Say whether all members of a group are known.

    Mark a group as complete if every member is in the directory. Of other groups it knows only the people
    that were seen or set.
    """
    if complete is None:
        raise click.UsageError("say which: --complete or --incomplete")
    found = await context.client.set_group(name, complete=complete)
    if context.out.as_record:
        context.out.record(_record(found))
        return
    count = f"{found.members} {'person' if found.members == 1 else 'people'}"
    known = "complete" if found.complete else "not complete"
    context.out.line(context.out.style(f"{found.name}: {count}, {known}"))


def _complete(group: Group) -> str:
    return "yes" if group.complete else "no"


def _record(group: Group) -> dict[str, Any]:
    """A group for programs, with the names of the contract."""
    return {"name": group.name, "complete": group.complete, "members": group.members}
