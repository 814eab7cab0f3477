"""`askback job ls --watch`: a table of the jobs, then a line for each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askback._model.jobs import JobInfo
from askback._text.handle import MIN_HANDLE_CHARS
from askback._text.text import cut, one_line
from askback.cli.job.job_table import doing, row, write_jobs
from askback.cli.record import record
from askback.cli.words import JOB_STATES

if TYPE_CHECKING:
    from askback.cli.context import CommandContext

_STATE = max(map(len, JOB_STATES.values()))
_TYPE_WIDTH = 16


async def watch_jobs(context: CommandContext, narrowed: dict[str, Any]) -> None:
    """Follow the jobs that match; after a reconnect only the changes since then are printed.

    With a filter by state a job is followed from entering one of the states up to the change that leaves
    them. People see a table, then lines that begin with the state and the type. Programs get one event per
    line; with -o tsv the event is followed by the fields of `job ls`.
    """
    out = context.out
    known: dict[str, JobInfo] = {}
    live = False
    states = narrowed.get("states")
    async for change in context.client.watch_all(**narrowed):
        if change.job is not None:
            before = known.get(change.job_id)
            matches = not states or change.job.state in states
            if before is None and not matches:
                continue
            known[change.job_id] = change.job
            if out.as_json:
                out.json({"event": "changed", "job": record(change.job.proto)})
            elif out.as_tsv:
                out.tsv(["changed", *row(change.job)])
            elif live and (before is None or _line_key(before) != _line_key(change.job)):
                out.line(_line(change.job, out.width))
            if live and (change.job.state.is_terminal or not matches):
                del known[change.job_id]
        elif change.kind == "removed":
            removed = known.pop(change.job_id, None)
            if out.as_json:
                out.json({"event": "removed", "jobId": change.job_id})
            elif removed is not None and out.as_tsv:
                out.tsv(["removed", *row(removed)])
        elif change.kind == "caught_up":
            if out.as_json:
                out.json({"event": "caughtUp", "jobs": len(known)})
            elif not live:
                if not out.as_tsv:
                    write_jobs(context, sorted(known.values(), key=lambda job: job.job_id, reverse=True))
                out.note(f"{len(known)} job{'' if len(known) == 1 else 's'}; Ctrl-C ends this")
            live = True
            known = {job_id: job for job_id, job in known.items() if not job.state.is_terminal}


def _line_key(job: JobInfo) -> tuple[str, str]:
    """The content of a job's line: a change that leaves it as it is prints no line."""
    return str(job.state), doing(job)


def _line(job: JobInfo, width: int) -> str:
    state = JOB_STATES.get(job.state, str(job.state)).ljust(_STATE)
    what = doing(job)
    named = f"{one_line(job.job_type, _TYPE_WIDTH)}  {job.job_id[-MIN_HANDLE_CHARS:]}"
    return cut(f"{state}  {named}{f'  {what}' if what else ''}", width)
