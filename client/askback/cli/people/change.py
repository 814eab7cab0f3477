"""`askback people set` and `askback people rm`."""

from __future__ import annotations

from typing import Any

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command


@click.command("set", cls=Command)
@click.argument("subject")
@click.option("--name", "display_name", metavar="TEXT", help="The name for people to read.")
@click.option("--email", metavar="ADDRESS", help="The e-mail address.")
@click.option(
    "--in-group",
    "in_groups",
    multiple=True,
    metavar="NAME",
    help="In this group; repeatable. Replaces the groups that admins have set.",
)
@click.option("--no-groups", is_flag=True, help="Ends the groups that admins have set.")
@click.option("--time-zone", metavar="ZONE", help="A name of the IANA database: Europe/Berlin.")
@click.option("--language", metavar="TAG", help="A language tag: de, pt-BR.")
@click.option("--active/--inactive", default=None, help="Whether the person can be asked.")
@client_command
async def set_person(
    context: CommandContext, subject: str, in_groups: tuple[str, ...], no_groups: bool, **fields: Any
) -> None:
    """Add a person, or change what is known of one.

    What is not named stays; an empty text forgets a value. It gives no right: which prompts a person sees
    comes from its credentials.

    \b
      askback people set ana --name "Ana Lopez" --in-group ops --in-group oncall --time-zone Europe/Madrid
      askback people set ana --email ""
    """
    from askback.cli.record import record

    if in_groups and no_groups:
        raise click.UsageError("--in-group and --no-groups contradict each other")
    wanted = in_groups if in_groups or no_groups else None
    person = await context.client.set_person(subject, groups=wanted, **fields)
    if context.out.as_record:
        context.out.record(record(person.proto))
        return
    where = f"in {', '.join(person.groups)}" if person.groups else "in no group"
    state = "" if person.active else ", not active"
    context.out.line(context.out.style(f"{person.subject} {where}{state}"))


@click.command(cls=Command)
@click.argument("subject")
@client_command
async def rm(context: CommandContext, subject: str) -> None:
    """Erase what is known of a person.

    The name, e-mail address, time zone, language and time of use are erased. The subject and the dates of its
    groups stay, as do its answers. A person whose credentials are still valid is listed again when it next
    uses the namespace: revoke its token first.
    """
    await context.client.delete_person(subject)
    if context.out.as_record:
        context.out.record({"subject": subject, "deleted": True})
    else:
        context.out.line(context.out.style(f"erased {subject}"))
