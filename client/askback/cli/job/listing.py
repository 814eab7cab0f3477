"""`askback job ls` and `askback job show`."""

from __future__ import annotations

import click

from askback.cli.session import Session, client_command


@click.command()
@click.argument("job_id")
@client_command
async def show(session: Session, job_id: str) -> None:
    """Show a job and its prompts."""
    from askback.cli.record import record

    found = await session.client.get(job_id)
    session.out.json(record(found.proto))
