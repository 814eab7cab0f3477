"""`askback job ls`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from askback.cli.candidates import job_labels, job_types, owners
from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.job.job_table import STATES, write_jobs
from askback.cli.time_types import Moment

if TYPE_CHECKING:
    from askback._model.jobs import JobInfo

_DEFAULT_LIMIT = 50


@click.command(cls=Command)
@click.option("--state", "states", multiple=True, type=click.Choice(list(STATES)), help="In this state.")
@click.option(
    "--type", "job_types", multiple=True, metavar="TYPE", shell_complete=job_types, help="Of this type."
)
@click.option("--owner", "owners", multiple=True, metavar="USER", shell_complete=owners, help="Of this user.")
@click.option(
    "--label",
    "label_pairs",
    multiple=True,
    metavar="NAME=VALUE",
    shell_complete=job_labels,
    help="With this label; repeated for one NAME: any of the values.",
)
@click.option("--since", type=Moment(), help="Created since a time, or within a span: 2026-11-25T08:00Z, 4h.")
@click.option("--before", type=Moment(), help="Created before then.")
@click.option(
    "--limit", default=_DEFAULT_LIMIT, show_default=True, type=click.IntRange(0), help="0: all of them."
)
@click.option("--watch", is_flag=True, help="Stay, and print every change; jobs that have not ended first.")
@client_command
async def ls(
    context: CommandContext,
    states: tuple[str, ...],
    job_types: tuple[str, ...],
    owners: tuple[str, ...],
    label_pairs: tuple[str, ...],
    since: datetime | None,
    before: datetime | None,
    limit: int,
    watch: bool,
) -> None:
    """List jobs, newest first.

    Repeating an option means OR; different options, and labels of different names, mean AND. A table has
    the columns that fit the terminal and that differ between its rows; -v has whole ids and times. On a
    pipe, or with -o tsv, each job is a line with tabs between state, type, what it does, id, created at,
    ended at, owner, open prompts, priority and labels, without a header. With --json one job a line; with
    --watch and --json one event a line: changed, removed, caughtUp.
    """
    from askback.cli.job.list_watch import watch_jobs
    from askback.cli.job_input import label_conditions
    from askback.cli.record import record

    narrowed: dict[str, Any] = {
        "states": [STATES[state] for state in states],
        "job_types": job_types,
        "user_ids": owners,
        "labels": label_conditions(label_pairs),
    }
    if watch:
        other = "since" if since else "before" if before else "limit" if limit != _DEFAULT_LIMIT else None
        if other:
            raise click.UsageError(f"--watch follows jobs as they change; --{other} does not go with it")
        await watch_jobs(context, narrowed)
        return
    narrowed |= {"created_after": since, "created_before": before}
    found: list[JobInfo] = []
    more = False
    async for job in context.client.list(**narrowed, page_size=min(limit + 1, 500) if limit else 500):
        more = bool(limit) and len(found) >= limit
        if more:
            break
        if context.out.as_json:
            context.out.json(record(job.proto))
        found.append(job)
    if context.out.as_json:
        return
    write_jobs(context, found)
    total = await context.client.count(**narrowed) if more and not context.out.quiet else len(found)
    shown = f", {len(found)} shown; --limit 0 lists all" if more else ""
    context.out.note(f"{total} job{'' if total == 1 else 's'}{shown}")
