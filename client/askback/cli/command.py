"""The class of the subcommands, whose help has the command's own options first:

@click.command(cls=Command)
@client_command
async def show(context: CommandContext) -> None: ...
"""

from __future__ import annotations

import click

CONNECTION = "Connection options"


class SharedOption(click.Option):
    """An option that many commands share; help lists it in a section after the command's own options."""

    section = CONNECTION


class Command(click.Command):
    """A command whose help has a section for its own options and one for the connection options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options into the help, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
