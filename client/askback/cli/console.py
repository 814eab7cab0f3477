"""`askback console`."""

from __future__ import annotations

from typing import Any

import click

from askback.cli.command import Command
from askback.cli.inbox.view import view, view_options
from askback.cli.session import Session, client_command


@click.command(cls=Command)
@view_options
@click.option("--bell", is_flag=True, help="Ring when a prompt arrives.")
@click.option("--plain", is_flag=True, help="No colours, Markdown as it is written: for screen readers.")
@client_command
async def console(session: Session, bell: bool, plain: bool, **options: Any) -> int | None:
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

    if session.out.as_json:
        raise click.UsageError("a console is for people; programs use `inbox ls --watch --json`")
    terminal = session.terminal(plain=plain)
    timeout = session.connection.timeout
    async with session.client.console(**await view(session.client, options), connect_timeout=timeout) as desk:
        live = LiveConsole(desk, terminal, bell=bell)
        await live.run()
    if terminal.is_terminal or not live.errors:
        return None
    first = live.errors[0]
    if isinstance(first, AskbackError):
        return exit_of(first)
    return Exit.CONFLICT if isinstance(first, Ended) else Exit.USAGE
