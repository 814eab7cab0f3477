"""`askback job update` and `askback job delete`."""

from __future__ import annotations

import sys
from datetime import timedelta

import click

from askback.cli.command import Command
from askback.cli.completion import any_job, finished_jobs
from askback.cli.context import CommandContext, client_command
from askback.cli.lookup import job_id_of
from askback.cli.time_types import Span

_MAX_ATTEMPTS = 5


@click.command(cls=Command)
@click.argument("job_id", shell_complete=any_job)
@click.option(
    "--label", "label_pairs", multiple=True, metavar="NAME=VALUE", help="Set this label; the others stay."
)
@click.option("--remove-label", "removed", multiple=True, metavar="NAME", help="Remove this label.")
@click.option("--priority", type=int, help="Higher runs first, -1000 to 1000.")
@click.option("--retention", type=Span(), help="How long it is kept after its end: 12h, 30d.")
@click.option("--promoted/--not-promoted", default=None, help="Whether its result was taken over.")
@client_command
async def update(
    context: CommandContext,
    job_id: str,
    label_pairs: tuple[str, ...],
    removed: tuple[str, ...],
    priority: int | None,
    retention: timedelta | None,
    promoted: bool | None,
) -> None:
    """Change a job's labels, priority or retention.

    Everything else stays unchanged.

    \b
      askback job update JOB --label stage=prod --remove-label draft
      askback job update JOB --priority 50
    """
    from askback.cli.job_input import labels
    from askback.cli.record import record
    from askback.errors import Aborted

    named = labels(label_pairs)
    if twice := sorted(set(named) & set(removed)):
        raise click.UsageError(f"--label and --remove-label both name {twice[0]}")
    others = {"priority": priority, "retention": retention, "promoted": promoted}
    if not (named or removed or any(value is not None for value in others.values())):
        raise click.UsageError(
            "say what to change: --label, --remove-label, --priority, --retention, --promoted"
        )
    client = context.client
    job_id = await job_id_of(client, job_id)
    for tries in range(_MAX_ATTEMPTS, 0, -1):
        version, wanted = 0, None
        if named or removed:
            # The server replaces all labels, so detect a concurrent change by the version.
            job = await client.get(job_id)
            if absent := [name for name in removed if name not in job.labels]:
                raise click.UsageError(f"--remove-label: the job has no label {absent[0]}")
            version = job.version
            wanted = {**{n: v for n, v in job.labels.items() if n not in removed}, **named}
        try:
            changed = await client.update(
                job_id,
                labels=wanted,
                priority=priority,
                retention=retention,
                promoted=promoted,
                expected_version=version,
            )
            break
        except Aborted:
            if tries == 1:
                raise
    if context.out.as_json:
        context.out.json(record(changed.proto))
    else:
        context.out.line(f"job {job_id} is updated")


@click.command(cls=Command)
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB_ID...", shell_complete=finished_jobs)
@click.option("--yes", is_flag=True, help="Do not ask.")
@client_command
async def delete(context: CommandContext, job_ids: tuple[str, ...], yes: bool) -> int:
    """Delete finished jobs for good.

    Their questions, answers and history go with them. Asks first; without a terminal --yes must be given.
    A job that has not ended is refused: cancel it first. Exit code: that of the first job that was not
    deleted, else 0.
    """
    from askback._text.text import one_line
    from askback.cli.context import report
    from askback.cli.exits import Exit, exit_of
    from askback.cli.words import JOB_STATES
    from askback.errors import AskbackError

    asks = sys.stdin.isatty() and not context.out.as_json
    if not yes and not asks:
        raise click.UsageError("without a terminal --yes must say that the jobs may be deleted")
    first = Exit.DONE
    for name in dict.fromkeys(job_ids):
        try:
            job_id = await job_id_of(context.client, name)
            if not yes:
                job = await context.client.get(job_id)
                what = f"{one_line(job.job_type)}, {JOB_STATES.get(job.state, job.state)}"
                if not click.confirm(f"Delete job {job_id} ({what}) with its answers?", err=True):
                    context.out.note(f"job {job_id} is kept")
                    continue
            await context.client.delete(job_id)
        except AskbackError as error:
            first = first or exit_of(error)
            report(context.out, error, context.connection)
            continue
        if context.out.as_json:
            context.out.json({"jobId": job_id, "deleted": True})
        else:
            context.out.line(f"job {job_id} is deleted")
    return first
