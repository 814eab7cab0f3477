"""`askback inbox delegate` and `askback inbox return`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.view import open_prompts
from askback.cli.lookup import prompt_of

if TYPE_CHECKING:
    from askback._client.client import Client
    from askback._model.prompts import PromptInfo


@click.command(cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@click.option(
    "--to", metavar="NAME", help="Who gets your right to answer: a person, or group:NAME. Required."
)
@click.option("--add", is_flag=True, help="You may answer too: the first answer counts.")
@click.option("--comment", default="", help="Why, for them to read.")
@client_command
async def delegate(context: CommandContext, prompt: str, to: str | None, add: bool, comment: str) -> None:
    """Pass a prompt on to another person or a group, or ask them too.

    Their answer counts as yours, and says so. You do not see the prompt any more, unless with --add. PROMPT
    is its id, the end of it as `inbox ls` shows it, or JOB/KEY. Exit code 4 if it cannot be delegated so, or
    has ended.

    \b
      askback inbox delegate PROMPT --to ben --comment "you know this customer"
      askback inbox delegate PROMPT --to group:oncall --add
    """
    import shlex

    from askback._text.text import one_line
    from askback.cli.record import record
    from askback.terminal.delegation_words import target_words

    user, group = _target(to or "")
    found = await prompt_of(context.client, prompt)
    given = await context.client.delegate(found, to=user, group=group, add=add, comment=comment)
    if context.out.as_json:
        context.out.json(record(given.proto))
        return
    target = target_words(user, group)
    context.out.line(context.out.style(f"Delegated to {target}: {one_line(given.title)}", fg="green"))
    back = context.connection.command(f"inbox return {found.prompt_id} --to {shlex.quote(to or '')}")
    context.out.note(f"to take it back: {back}")


def _target(text: str) -> tuple[str, str]:
    """The person and the group that `--to` names. Raises click.UsageError."""
    from askback.terminal.delegation_words import parse_target

    try:
        return parse_target(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@click.command("return", cls=Command)
@click.argument("prompt", shell_complete=open_prompts)
@click.option("--to", metavar="NAME", help="Take it back from this person, or group:NAME.")
@click.option("--comment", default="", help="Why, for people.")
@client_command
async def return_prompt(context: CommandContext, prompt: str, to: str | None, comment: str) -> None:
    """Give a prompt back that was delegated to you, or take back what you have delegated.

    The right returns to the person who gave it; claims and votes by it end. Where there is no delegation,
    nothing changes. PROMPT is its id, the end of it, or JOB/KEY; a prompt that you do not see any more is
    named by its whole id. An admin may end the delegation to anyone.
    """
    from askback._model.prompts import PromptInfo
    from askback._text.text import one_line
    from askback.cli.record import record
    from askback.terminal.delegation_words import target_words

    user, group = ("", "") if to is None else _target(to)
    found = await _shown_or_id(context.client, prompt)
    left = await context.client.return_prompt(found, to=user, group=group, comment=comment)
    if context.out.as_json:
        context.out.json(record(left.proto))
        return
    if isinstance(found, PromptInfo) and found.version == left.version:
        whom = target_words(user, group) if to else "you"
        context.out.line(context.out.style(f"Not delegated to {whom}: {one_line(left.title)}"))
        return
    what = f"Taken back from {target_words(user, group)}" if user or group else "Given back"
    context.out.line(context.out.style(f"{what}: {one_line(left.title)}", fg="green"))


async def _shown_or_id(client: Client, name: str) -> PromptInfo | str:
    """The prompt with this name, or the whole id of one that the caller does not see. Raises what `prompt_of`
    raises."""
    from askback._text.handle import is_id
    from askback.errors import NotFound

    try:
        return await prompt_of(client, name)
    except NotFound:
        if is_id(name.strip().lower()):
            return name.strip().lower()
        raise
