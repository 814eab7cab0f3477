"""`askback rules create`, `edit`, `on`, `off` and `delete`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.time_types import LocalTime

if TYPE_CHECKING:
    from askback._model.rules import Rule

F = TypeVar("F", bound=Callable[..., Any])


def _replacements(function: F) -> F:
    """Add the options that replace a field of the file."""
    options = [
        click.option("--name", metavar="TEXT", help="In place of the name in the file."),
        click.option("--reason", metavar="TEXT", help="In place of the reason in the file."),
        click.option(
            "--until",
            "expire_time",
            type=LocalTime(),
            metavar="TIME",
            help="When it ends: 2026-12-31, or 8h from now. [default: the file's, or in 30 days]",
        ),
        click.option(
            "--uses", "max_uses", type=click.IntRange(0), help="How many questions at most; 0: no limit."
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command(cls=Command)
@click.argument("file")
@_replacements
@click.option("--check", "validate_only", is_flag=True, help="Check it, and create nothing.")
@client_command
async def create(context: CommandContext, file: str, validate_only: bool, **replaced: Any) -> None:
    """Create a rule from a file, TOML or JSON; - is stdin.

    It is active at once, or waits for a second person, as the server says. Exit code 2 for a file that is
    wrong, also if an example does not match as it says.

    \b
      askback rules create rule.toml
      askback rules suggest 7f3a/prompt | askback rules create - --reason "it only reads" --uses 100
    """
    from askback.cli.rules.spec_file import read_spec

    spec = read_spec(file, **replaced)
    _print(context, await context.client.rules.create(spec, validate_only=validate_only))
    if validate_only:
        context.out.note("checked; nothing was created")


@click.command(cls=Command)
@click.argument("rule")
@click.argument("file")
@_replacements
@client_command
async def edit(context: CommandContext, rule: str, file: str, **replaced: Any) -> None:
    """Replace what a rule says by a file, TOML or JSON; - is stdin.

    The rule gets a new revision, of which you are the author, and is on. RULE is its id, the end of it, or
    its name. Exit code 4 if another person changes it at the same time.
    """
    from askback.cli.rules.spec_file import read_spec
    from askback.cli.rules.words import rule_of

    spec = read_spec(file, **replaced)
    found = await rule_of(context.client, rule)
    changed = await context.client.rules.update(found, spec, expected_revision=found.newest_revision)
    _print(context, changed)


@click.command(cls=Command)
@click.argument("rule")
@client_command
async def on(context: CommandContext, rule: str) -> None:
    """Switch a rule on, as a new revision of which you are the author.

    RULE is its id, the end of it, or its name.
    """
    await _switch(context, rule, enabled=True)


@click.command(cls=Command)
@click.argument("rule")
@client_command
async def off(context: CommandContext, rule: str) -> None:
    """Switch a rule off at once, at all replicas, and drop what waits for approval.

    RULE is its id, the end of it, or its name.
    """
    await _switch(context, rule, enabled=False)


async def _switch(context: CommandContext, name: str, *, enabled: bool) -> None:
    from askback.cli.rules.words import rule_of

    found = await rule_of(context.client, name)
    _print(context, await context.client.rules.update(found, enabled=enabled))


@click.command(cls=Command)
@click.argument("rule")
@client_command
async def delete(context: CommandContext, rule: str) -> None:
    """Delete a rule at once, at all replicas. RULE is its id, the end of it, or its name.

    What it said stays readable, because answers name it: `rules ls --all`.
    """
    from askback._text.text import one_line
    from askback.cli.rules.words import rule_of

    found = await rule_of(context.client, rule)
    await context.client.rules.delete(found)
    if context.out.as_record:
        context.out.record({"ruleId": found.rule_id, "deleted": True})
    else:
        context.out.line(context.out.style(f"{one_line(found.name)} is deleted"))


def _print(context: CommandContext, rule: Rule) -> None:
    from askback.cli.record import record
    from askback.cli.rules.words import rule_line

    if context.out.as_record:
        context.out.record(record(rule.proto))
    else:
        context.out.line(context.out.style(rule_line(rule)))
