"""`askback tui`."""

from __future__ import annotations

from typing import Any

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.view import view, view_options


@click.command(cls=Command)
@view_options
@client_command
async def tui(context: CommandContext, **options: Any) -> None:
    """A console on the full screen: the queue, the selected prompt, and questions below them.

    Keys: j and k next and previous, a approve, r reject, e edit, Enter fill in the form, c comment, t take,
    / search, ? all keys, q quit. It needs a terminal and `pip install 'askback[tui]'`. For pipes and screen
    readers there is `askback console`.
    """
    import sys

    if context.out.as_json:
        raise click.UsageError("a full screen is for people; programs use `inbox ls --watch --json`")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("a full screen needs a terminal; on a pipe use `askback console`")
    try:
        from askback.terminal.full_screen.app import FullScreenConsole
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the full screen needs {error.name}: pip install 'askback[tui]' (`askback console` needs less)"
        ) from None
    from askback.terminal.prompt_work import console_person

    timeout = context.connection.timeout
    async with context.client.console(
        **await view(context.client, options), connect_timeout=timeout
    ) as opened:
        person = await console_person(context.client)
        failure = await FullScreenConsole(opened, person=person, rules=context.client.rules).run_async()
    if failure is not None:
        raise failure
