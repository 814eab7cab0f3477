"""`askback job start`."""

from __future__ import annotations

from datetime import timedelta

import click

from askback.cli.candidates import job_types
from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.time_types import Span

QUIET_SECONDS = 5.0
"""Seconds after which `--wait` says what a job waits for, if it does not run."""


@click.command(cls=Command)
@click.argument("job_type", shell_complete=job_types)
@click.argument("pairs", nargs=-1, metavar="[NAME=TEXT | NAME:=JSON]...")
@click.option("--input", "source", metavar="JSON", help="The input: JSON, @FILE, or - for stdin.")
@click.option("--label", "label_pairs", multiple=True, metavar="NAME=VALUE", help="A label to filter by.")
@click.option("--priority", default=0, show_default=True, help="Higher runs first, -1000 to 1000.")
@click.option("--max-attempts", default=0, metavar="COUNT", help="[default: the server's]")
@click.option("--retention", type=Span(), help="How long the ended job is kept. [default: the server's]")
@click.option("--delay", type=Span(), help="Start after this time: 30m, 1d.")
@click.option("--deadline", type=Span(), help="The job fails if it has not ended this long after its start.")
@click.option("--run-timeout", type=Span(), help="How long one attempt may run, without waiting for people.")
@click.option("--request-id", help="Starting again with the same id returns the same job.")
@click.option("--wait", is_flag=True, help="Wait for the end, print the result; exit 5 if it failed.")
@client_command
async def start(
    context: CommandContext,
    job_type: str,
    pairs: tuple[str, ...],
    source: str | None,
    label_pairs: tuple[str, ...],
    priority: int,
    max_attempts: int,
    retention: timedelta | None,
    delay: timedelta | None,
    deadline: timedelta | None,
    run_timeout: timedelta | None,
    request_id: str | None,
    wait: bool,
) -> int | None:
    """Create a job. Prints its id.

    \b
      askback job start refund order=A-17 days:=41
      askback job start import --input @rows.json --label team=core --wait
      askback job start report --delay 8h --deadline 2d --run-timeout 10m
    """
    import asyncio

    from askback.cli.job_input import job_input, labels
    from askback.cli.record import record

    run = await context.client.start(
        job_type,
        job_input(source, pairs),
        labels=labels(label_pairs),
        priority=priority,
        max_attempts=max_attempts,
        retention=retention,
        delay=delay,
        timeout=deadline,
        run_timeout=run_timeout,
        request_id=request_id,
    )
    if not wait:
        if context.out.as_json:
            context.out.json(record((await run.job()).proto))
        else:
            context.out.line(run.job_id)
        return None
    watch = context.connection.command(f"job watch {run.job_id}")
    context.out.note(f"started {run.job_id}")
    try:
        return await _wait_for_result(context, run.job_id)
    except asyncio.CancelledError:
        context.out.report_interrupt(f"interrupted: the job goes on\n  follow it: {watch}", jobId=run.job_id)
        raise


async def _wait_for_result(context: CommandContext, job_id: str) -> int:
    """Wait for the end and print the result."""
    import asyncio

    from askback.cli.outcome_exits import job_exit
    from askback.cli.record import record
    from askback.cli.words import json_words
    from askback.errors import JobCancelled, JobFailed

    explaining = asyncio.create_task(_explain_later(context, job_id))
    try:
        await context.client.run(job_id).result()
    except (JobFailed, JobCancelled) as error:
        if not context.out.as_json or isinstance(error, JobCancelled):
            raise
    finally:
        explaining.cancel()
    job = await context.client.get(job_id)
    if context.out.as_json:
        context.out.json(record(job.proto))
    else:
        context.out.line(json_words(job.proto.result_json))
    return job_exit(job)


async def _explain_later(context: CommandContext, job_id: str) -> None:
    """If the job does not run after a while, say what it waits for: a worker, people, or its start time."""
    import asyncio
    from contextlib import suppress
    from datetime import UTC, datetime

    from askback._model.enums import JobState
    from askback._text.spans import Times
    from askback.cli.explanation import job_summary
    from askback.errors import AskbackError

    await asyncio.sleep(QUIET_SECONDS)
    with suppress(AskbackError):  # the call that waits for the result reports it
        job = await context.client.get(job_id)
        if job.state in (JobState.PENDING, JobState.PENDING_HITL):
            explain = context.connection.command(f"explain {job_id}")
            summary = job_summary(job, Times(datetime.now(UTC), context.out.verbose), job.created_at)
            context.out.note(f"it {summary}\n  more: {explain}")
