"""Runs a command that talks to a server, from its options to its exit code."""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from askback._text.text import clean
from askback.cli.arguments import violations_as_typed
from askback.cli.connection import CONNECTION_OPTIONS, Connection, flags_as_typed
from askback.cli.connection_options import connection_options
from askback.cli.exits import Exit, exit_of
from askback.cli.output import Output, output_options
from askback.errors import (
    AskbackError,
    CannotConnect,
    InvalidArgument,
    JobCancelled,
    JobFailed,
    PermissionDenied,
    Unavailable,
)

if TYPE_CHECKING:
    from askback._client.client import Client
    from askback.terminal.terminal import Terminal


@dataclass(frozen=True)
class CommandContext:
    """The objects that a command works with: the client, the output, the connection."""

    client: Client
    out: Output
    connection: Connection

    def terminal(self, *, plain: bool = False) -> Terminal:
        """The terminal, which asks the person. Raises click.UsageError without a terminal."""
        from askback.terminal.terminal import NoKeyboard, Terminal
        from askback.terminal.writer import writer_for

        try:
            return Terminal(writer_for(plain=plain or not self.out.is_rich))
        except NoKeyboard as error:
            raise click.UsageError(str(error)) from None


def client_command(function: Callable[..., Awaitable[int | None]]) -> Callable[..., None]:
    """Make an async function a command's callback: `async def show(context, job_id) -> int | None`.

    Adds the connection and output options, and calls the function with a CommandContext before its own
    parameters. The function returns the exit code (None: 0). An AskbackError is printed and becomes an exit
    code (see `askback.cli.exits`). Ctrl-C and SIGTERM cancel the function and exit with 130.

        @click.command(cls=Command)
        @click.argument("job_id")
        @client_command
        async def show(context: CommandContext, job_id: str) -> None:
            context.out.json(record((await context.client.get(job_id)).proto))
    """

    @connection_options
    @output_options
    @functools.wraps(function)
    def callback(*, out: Output, **options: Any) -> None:
        connection = Connection.of(options, flags_as_typed(click.get_current_context()))
        own = {name: value for name, value in options.items() if name not in CONNECTION_OPTIONS}
        sys.exit(_run(function, connection, out, own))

    return callback


def _run(
    function: Callable[..., Awaitable[int | None]], connection: Connection, out: Output, own: dict[str, Any]
) -> int:
    # The C core would write to stderr, over the drawn screen. Must be set before grpc is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import asyncio
    import signal

    async def run() -> int | None:
        task = asyncio.current_task()
        assert task is not None
        with suppress(NotImplementedError):  # Windows has no signal handlers of the loop
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

        def on_silence(error: AskbackError | None, left: float) -> None:
            _report_retry(out, connection.server, error, left)

        async with connection.client(on_silence) as client:
            return await function(CommandContext(client, out, connection), **own)

    try:
        return asyncio.run(run()) or Exit.DONE
    except AskbackError as error:
        report(out, error, connection)
        return exit_of(error)
    except UnicodeEncodeError:  # arguments in another encoding than the locale's
        out.error("there is text that is not UTF-8; set a UTF-8 locale, for example LANG=C.UTF-8")
        return Exit.USAGE
    except (KeyboardInterrupt, asyncio.CancelledError):
        return Exit.INTERRUPTED


def _report_retry(out: Output, server: str, error: AskbackError | None, left: float) -> None:
    """Say that a call is being retried, and why, so that the person does not wait without a sign."""
    why = f": {error.message}" if error is not None else ""
    until = f" for {left:.0f} s more" if math.isfinite(left) else ""
    out.note(f"no answer from {server} yet{why}; trying{until}, Ctrl-C ends it")


def report(out: Output, error: AskbackError, connection: Connection) -> None:
    """Print an error on stderr, with advice.

    The failure of a job is a result of the command, so it is printed without the command's name in front.
    """
    code = exit_of(error)
    if out.as_json:
        _report_json(out, error, code)
        return
    if isinstance(error, JobFailed | JobCancelled):
        click.echo(clean(_ending(error)), err=True)
        return
    out.error("\n  ".join(_lines(error, code, connection)))


def _lines(error: AskbackError, code: Exit, connection: Connection) -> list[str]:
    """The lines of the error. Violations name the arguments that were typed, and replace the summary."""
    click_context = click.get_current_context(silent=True)
    if isinstance(error, InvalidArgument) and error.violations:
        parameters = click_context.command.get_params(click_context) if click_context is not None else ()
        return [f"{v.field}: {v.description}" for v in violations_as_typed(error, parameters)]
    lines = [error.message]
    if isinstance(error, Unavailable) and not error.from_server and not isinstance(error, CannotConnect):
        lines.append("(`askback doctor` looks for the cause)")
    elif code is Exit.DENIED and connection.token is None:
        lines.append("(no token was sent: set ASKBACK_TOKEN, or put one into a profile)")
    elif isinstance(error, PermissionDenied):
        lines.append("(`askback whoami` says what you may do)")
    return lines


def _ending(error: JobFailed | JobCancelled) -> str:
    """The end of a job without a result: `job X failed: ValueError: …`."""
    if isinstance(error, JobCancelled):
        return error.message.replace("the job", f"job {error.job_id}", 1)
    kind = f"{error.failure_code}: " if error.failure_code and error.failure_code != error.message else ""
    return f"job {error.job_id} failed: {kind}{error.message}"


def _report_json(out: Output, error: AskbackError, code: Exit) -> None:
    out.error(
        error.message,
        code=error.code,
        exit=int(code),
        **({"reason": error.reason} if error.reason else {}),
        **({"metadata": error.metadata} if error.metadata else {}),
        **(
            {"violations": [{"field": v.field, "description": v.description} for v in error.violations]}
            if error.violations
            else {}
        ),
    )
