"""`askback console`."""

from __future__ import annotations

from typing import Any

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.inbox.view import view, view_options


@click.command(cls=Command)
@view_options
@click.option("--bell", is_flag=True, help="Ring when a prompt arrives.")
@click.option("--plain", is_flag=True, help="No colours, Markdown as it is written: for screen readers.")
@client_command
async def console(context: CommandContext, bell: bool, plain: bool, **options: Any) -> int | None:
    """A live console: prompts appear as they come, and commands are lines (`help` lists them).

    Keys, each with Enter: a approve, r reject, e edit, Enter fill in the form, j and k next and previous,
    / search, ? help, q quit. At a terminal it needs `pip install 'askback[tui]'`. It survives restarts of the
    server. On a pipe it does what a script says; then the exit code is that of the first command that was
    refused.
    """
    from askback.cli.exits import Exit, exit_of
    from askback.errors import AskbackError
    from askback.terminal.live import LiveConsole
    from askback.terminal.prompt_list import Ended
    from askback.terminal.prompt_work import console_person

    if context.out.as_json:
        raise click.UsageError("a console is for people; programs use `inbox ls --watch --json`")
    terminal = context.terminal(plain=plain)
    timeout = context.connection.timeout
    async with context.client.console(
        **await view(context.client, options), connect_timeout=timeout
    ) as opened:
        terminal.person = await console_person(context.client)
        live = LiveConsole(opened, terminal, context.client.rules, bell=bell)
        await live.run()
    if terminal.is_terminal or not live.errors:
        return None
    first = live.errors[0]
    if isinstance(first, AskbackError):
        return exit_of(first)
    return Exit.CONFLICT if isinstance(first, Ended) else Exit.USAGE
