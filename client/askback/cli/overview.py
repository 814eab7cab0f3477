"""`askback overview`."""

from __future__ import annotations

from datetime import timedelta

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.time_types import Span


@click.command(cls=Command)
@click.option("--window", type=Span(), default="24h", show_default=True, help="How far back: 1h to 30d.")
@client_command
async def overview(context: CommandContext, window: timedelta) -> None:
    """Say what waits by age and kind, who is connected, and what happened lately.

    The service counts what happened by the full hour, a few minutes later. Half of the answers came within
    P50, 90 % within P90. -v has the figures of each step too. Without the role client you get the figures of
    the questions that you may answer. With --json it is one object, with the names of GetOverviewResponse.
    """
    from askback.cli.overview_tables import write_overview
    from askback.cli.record import record

    found = await context.client.overview(window=window)
    if context.out.as_record:
        context.out.record(record(found.proto))
    else:
        write_overview(context.out, found)
