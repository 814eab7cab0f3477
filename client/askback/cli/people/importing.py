"""`askback people import`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.job_input import read_text

if TYPE_CHECKING:
    from askback.cli.people.import_file import Entry


@click.command("import", cls=Command)
@click.argument("file", metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Read and check the file, and write nothing.")
@client_command
async def import_people(context: CommandContext, file: str, dry_run: bool) -> None:
    """Add or change people from a file, each as by `askback people set`.

    A file that ends with .csv has a header with `subject` and any of `name`, `email`, `groups`, `time_zone`,
    `language`, `active`; the groups of a cell are separated by `;`, and an empty cell leaves a value as it
    is. Any other file has one JSON object a line with the same names, `groups` as a list. The whole file is
    checked before the first person is written. Importing it again changes nothing.

    \b
      subject,name,email,groups
      ana,Ana Lopez,ana@example.com,ops;oncall
    """
    from askback.cli.people.import_file import BadRows, read_people

    try:
        entries = read_people(read_text(file, "FILE"), is_csv=file.lower().endswith(".csv"))
        if problems := await _refused(context, entries):
            raise BadRows(problems)
    except BadRows as error:
        raise click.UsageError("\n  ".join([f"nothing of {file} was imported:", *error.problems])) from None
    for entry in [] if dry_run else entries:
        await context.client.set_person(entry.subject, **entry.fields)
    for entry in entries:
        if context.out.as_json:
            context.out.json({"subject": entry.subject, "written": not dry_run})
        elif context.out.verbose:
            context.out.line(context.out.style(entry.subject))
    people = "1 person" if len(entries) == 1 else f"{len(entries)} people"
    context.out.note(f"{people} can be imported; nothing was written" if dry_run else f"imported {people}")


async def _refused(context: CommandContext, entries: Sequence[Entry]) -> list[str]:
    """The lines that the server refuses, with its reasons. Nothing is written."""
    from askback.errors import InvalidArgument

    problems = []
    for entry in entries:
        try:
            await context.client.set_person(entry.subject, **entry.fields, validate_only=True)
        except InvalidArgument as error:
            problems += [f"line {entry.line}: {v.field}: {v.description}" for v in error.violations]
    return problems
