"""Jobs as a table for people, and as lines for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from askback._model.jobs import JobInfo
    from askback._text.table import Column
    from askback.cli.context import CommandContext

STATES = {
    "pending": "PENDING",
    "running": "RUNNING",
    "waiting": "PENDING_HITL",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
}
_NAME_WIDTH = 16
_LABELS_WIDTH = 30


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
    from askback._text.spans import Times
    from askback._text.table import Column
    from askback.cli.words import JOB_STATES

    times = Times(datetime.now(UTC), exact)
    short = handles(job.job_id for job in found)

    return [
        Column("STATE", [JOB_STATES.get(job.state, str(job.state)) for job in found], important=True),
        Column("TYPE", [job.job_type for job in found], important=True, maximum=_NAME_WIDTH),
        Column("DOING", [doing(job) for job in found], wide=True, informative=True),
        Column("ID", [job.job_id if exact else short[job.job_id] for job in found], important=True),
        Column("CREATED" if exact else "AGE", [times.age(job.created_at) for job in found], important=True),
        Column("OWNER", [job.proto.user_id for job in found], maximum=_NAME_WIDTH),
        Column("PRIO", [job.proto.priority or "" for job in found]),
        Column("LABELS", [_labels(job) for job in found], maximum=_LABELS_WIDTH),
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
