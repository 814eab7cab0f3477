"""A click group that has the names and the help of its commands, and imports a command when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

Lazy = Mapping[str, tuple[str, str]]
"""By command name: its place, as `module:attribute`, and its help in one line."""


class LazyGroup(click.Group):
    """A click group whose help and completion do not import its commands."""

    def __init__(self, *args: Any, lazy: Lazy, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of the table."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command with this name; None if there is none."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's method, but the error for an unknown name suggests a known one."""
        if args[0] not in self.lazy and not args[0].startswith("-") and not ctx.resilient_parsing:
            from askback.cli.usage import unknown_command

            raise click.UsageError(
                unknown_command(ctx, args[0], self.lazy, dict(self._subcommands(ctx))), ctx
            )
        return super().resolve_command(ctx, args)

    def _subcommands(self, ctx: click.Context) -> Iterator[tuple[str, str]]:
        """The name of each command in a nested group, and its path from this group."""
        for name in self.lazy:
            group = self.get_command(ctx, name)
            if isinstance(group, LazyGroup):
                yield from ((inner, f"{name} {inner}") for inner in group.lazy)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands into the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names of the commands with their help, and the group's own options."""
        names = [
            CompletionItem(name, help=text)
            for name, (_, text) in self.lazy.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


class Program(LazyGroup):
    """The outermost group, which reports click's errors in Askback's format and exit codes."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the command and exit: with 2 and a line or two on stderr for wrong usage, with 130 for Ctrl-C.

        With `standalone_mode=False` it behaves like click's method.
        """
        if not settings.pop("standalone_mode", True):
            return super().main(*args, **{**settings, "standalone_mode": False})
        if (instruction := os.environ.get("_ASKBACK_COMPLETE", "")).endswith("_complete"):
            from askback.cli.shells import completion_class

            completion_class(instruction.partition("_")[0])
        try:
            code = super().main(*args, **{**settings, "standalone_mode": False})
        except click.ClickException as error:
            from askback.cli.usage import show_usage_error

            show_usage_error(error)
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(130)
        sys.exit(code if isinstance(code, int) else 0)
