"""`askback people`: the directory of people and groups, for admins."""

from __future__ import annotations

import click

from askback.cli.lazy import LazyGroup

COMMANDS = {
    "ls": ("askback.cli.people.listing:ls", "List people, or those of a group, now or at a time."),
    "set": ("askback.cli.people.change:set_person", "Add a person, or change what is known of one."),
    "rm": ("askback.cli.people.change:rm", "Erase what is known of a person."),
    "import": ("askback.cli.people.importing:import_people", "Add or change people from a file."),
    "groups": ("askback.cli.people.groups:groups", "List groups and how many people they have."),
    "group": ("askback.cli.people.groups:group", "Say whether all members of a group are known."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def people() -> None:
    """List and change the people that a namespace knows.

    It needs the role admin, and gives no right: credentials do.
    """
