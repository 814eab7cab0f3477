"""`askback whoami`."""

from __future__ import annotations

import click

from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command


@click.command(cls=Command)
@client_command
async def whoami(context: CommandContext) -> None:
    """Say who the server takes you for: name, namespaces, roles, groups, expiry.

    Every role may ask. The first namespace is the one that is used if none is named.
    """
    from datetime import UTC, datetime

    from askback._text.spans import Times
    from askback.cli.identity_words import identity_record, identity_rows

    identity = await context.client.whoami()
    if context.out.as_record:
        context.out.record(identity_record(identity))
        return
    times = Times(identity.server_time or datetime.now(UTC), context.out.verbose)
    context.out.fields(identity_rows(identity, times))
