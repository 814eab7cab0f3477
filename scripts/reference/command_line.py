"""The command line's page: every command with its arguments and options, from click's own tree."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from askback.cli import main
from scripts.reference.tables import table

PROGRAM = "askback"


def lines() -> Iterator[str]:
    """The page."""
    root = main.make_context(PROGRAM, [], resilient_parsing=True)
    commands = list(walk(root))
    yield "# The command line"
    yield ""
    yield from _text(main.help)
    for context in commands[1:]:
        path = context.command_path
        short = context.command.get_short_help_str(200)
        if not isinstance(context.command, click.Group):
            yield f"- [`{path}`](#{path.replace(' ', '-')}): {short}"
    yield ""
    for context in commands:
        yield from _command(context)


def walk(context: click.Context) -> Iterator[click.Context]:
    """A command and all below it, each with its context; hidden ones left out."""
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from walk(click.Context(child, info_name=name, parent=context))


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## {context.command_path}"
    yield ""
    if context.parent is not None:
        yield from _text(command.help)
    yield "```text"
    yield f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield "```"
    yield ""
    rows = [_row(parameter, context) for parameter in command.get_params(context)]
    if found := [row for row in rows if row is not None]:
        yield from table(["option", "meaning"], found)
    if command.epilog:
        yield from _text(command.epilog)


def _row(parameter: click.Parameter, context: click.Context) -> tuple[str, str] | None:
    record = parameter.get_help_record(context)
    if record is None or "--help" in record[0] or not any(record[1:]):
        return None
    return f"`{record[0]}`", record[1]


def _text(text: str | None) -> Iterator[str]:
    """Help text as Markdown: paragraphs; what click must not rewrap (`\\b`) stays as it is."""
    for paragraph in re.split(r"\n\s*\n", (text or "").strip().partition("\f")[0]):
        if paragraph.startswith("\b"):
            yield "```text"
            yield from paragraph.splitlines()[1:]
            yield "```"
        else:
            yield " ".join(paragraph.split()).replace("<", "&lt;")
        yield ""
