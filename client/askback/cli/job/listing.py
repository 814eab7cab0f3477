"""`askback job ls`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from askback.cli.candidates import job_labels, job_types, owners
from askback.cli.command import Command
from askback.cli.context import CommandContext, client_command
from askback.cli.time_types import Moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askback._model.jobs import JobInfo
    from askback._text.table import Column

STATES = {
    "pending": "PENDING",
    "running": "RUNNING",
    "waiting": "PENDING_HITL",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
}
_LIMIT = 50
_NAME = 16
_LABELS = 30


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
@click.option("--limit", default=_LIMIT, show_default=True, type=click.IntRange(0), help="0: all of them.")
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
        other = "since" if since else "before" if before else "limit" if limit != _LIMIT else None
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


def write_jobs(context: CommandContext, found: Sequence[JobInfo]) -> None:
    """Print jobs as a table, or as lines for a program."""
    if context.out.as_tsv:
        for job in found:
            context.out.tsv(row(job))
    else:
        context.out.table(columns(found, exact=context.out.verbose))


def columns(found: Sequence[JobInfo], *, exact: bool = False) -> list[Column]:
    """The columns for these jobs; `exact` shows whole ids, and times instead of spans."""
    from datetime import UTC

    from askback._text.handle import handles
    from askback._text.spans import exact_time, span_words
    from askback._text.table import Column
    from askback.cli.words import JOB_STATES

    now = datetime.now(UTC)
    short = handles(job.job_id for job in found)

    def age(job: JobInfo) -> str:
        if job.created_at is None:
            return ""
        return exact_time(job.created_at) if exact else span_words(now - job.created_at)

    return [
        Column("STATE", [JOB_STATES.get(job.state, str(job.state)) for job in found], important=True),
        Column("TYPE", [job.job_type for job in found], important=True, most=_NAME),
        Column("DOING", [doing(job) for job in found], wide=True, informative=True),
        Column("ID", [job.job_id if exact else short[job.job_id] for job in found], important=True),
        Column("CREATED" if exact else "AGE", [age(job) for job in found], important=True),
        Column("OWNER", [job.proto.user_id for job in found], most=_NAME),
        Column("PRIO", [job.proto.priority or "" for job in found]),
        Column("LABELS", [_labels(job) for job in found], most=_LABELS),
    ]


def row(job: JobInfo) -> list[object]:
    """One job for a program, with the fields listed in `ls`. Times are in UTC; absent values are empty."""
    from askback.terminal.prompt_table import instant

    names = {state: name for name, state in STATES.items()}
    return [
        names.get(job.state, job.state.lower()),
        job.job_type,
        doing(job),
        job.job_id,
        instant(job.created_at),
        instant(job.completed_at),
        job.proto.user_id,
        job.open_prompts,
        job.proto.priority,
        _labels(job),
    ]


def _labels(job: JobInfo) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(job.labels.items()))


def doing(job: JobInfo) -> str:
    """The job's current activity or the reason of its end: open prompts, progress, failure, cancel reason."""
    from askback._text.text import one_line

    if job.state.is_waiting:
        return f"{job.open_prompts} open questions" if job.open_prompts != 1 else "1 open question"
    if job.state == "FAILED" and job.failure:
        return one_line(job.failure[1])
    if job.state == "CANCELLED":
        return one_line(job.cancel_reason)
    return "" if job.state.is_terminal else progress_words(job)


def progress_words(job: JobInfo) -> str:
    """The newest progress, such as `3/10 reading the ledger`; empty without progress."""
    from askback._text.text import one_line

    progress = job.progress
    steps = f"{progress.done}/{progress.total} " if progress.total else f"{progress.done or ''} "
    return f"{steps}{one_line(progress.message)}".strip()
