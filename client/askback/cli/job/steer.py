"""`askback job cancel` and `askback job retry`."""

from __future__ import annotations

import click

from askback.cli.command import Command
from askback.cli.completion import finished_jobs, unfinished_jobs
from askback.cli.context import CommandContext, client_command
from askback.cli.lookup import job_id_of


@click.command(cls=Command)
@click.argument("job_id", shell_complete=unfinished_jobs)
@click.option("--reason", default="", help="Why, for people.")
@client_command
async def cancel(context: CommandContext, job_id: str, reason: str) -> None:
    """Cancel a job. A running job ends when its worker has stopped, or after 30 s."""
    from askback.cli.record import record

    job_id = await job_id_of(context.client, job_id)
    job = await context.client.cancel(job_id, reason)
    if context.out.as_json:
        context.out.json(record(job.proto))
    elif job.state.is_terminal:
        context.out.line(f"{job_id} is cancelled")
    else:
        follow = context.connection.command(f"job watch {job_id}")
        context.out.line(f"{job_id} is asked to stop; to see it end: {follow}")


@click.command(cls=Command)
@click.argument("job_id", shell_complete=finished_jobs)
@click.option(
    "--keep",
    type=click.Choice(["all", "nothing"]),
    help="People's answers and the checkpoints, or neither. [default: all of a failed job, else nothing]",
)
@click.option("--fresh", is_flag=True, help="The same as --keep nothing: ask everything again.")
@click.option("--request-id", help="Retrying again with the same id returns the same new job.")
@client_command
async def retry(
    context: CommandContext, job_id: str, keep: str | None, fresh: bool, request_id: str | None
) -> None:
    """Start a new job like a finished one. Prints its id.

    A question that is asked again in the same words has the answer that a person gave (yes, with edits, or
    values) at once; a refusal, an expiry and a default's answer are never carried over. `job show` lists
    what was.
    """
    from askback.cli.record import record

    if fresh:
        if keep == "all":
            raise click.UsageError("--fresh and --keep all contradict each other")
        keep = "nothing"
    job_id = await job_id_of(context.client, job_id)
    run = await context.client.retry(
        job_id, keep=keep.upper() if keep is not None else None, request_id=request_id
    )
    if context.out.as_json:
        context.out.json(record((await run.job()).proto))
    else:
        context.out.line(run.job_id)
