"""`askback job ls --watch`: the jobs as they are, then a line for each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askback._model.jobs import JobInfo
from askback._text.handle import SHORTEST
from askback._text.text import cut, one_line
from askback.cli.job.listing import doing, row, write_jobs
from askback.cli.record import record
from askback.cli.words import JOB_STATES

if TYPE_CHECKING:
    from askback.cli.context import CommandContext

_STATE = max(map(len, JOB_STATES.values()))
_TYPE = 16


async def watch_jobs(context: CommandContext, narrowed: dict[str, Any]) -> None:
    """Follow the jobs that match; after a break of the connection only what changed meanwhile.

    Of states that are named, a job is told of from when it is in one, to the change that takes it out.

    A table, then lines that begin with the state and the type. For programs each line is an event: with
    -o tsv the event and then the fields of `job ls`.
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
            gone = known.pop(change.job_id, None)
            if out.as_json:
                out.json({"event": "removed", "jobId": change.job_id})
            elif gone is not None and out.as_tsv:
                out.tsv(["removed", *row(gone)])
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
    """What a line says of a job: no line is printed where this is the same."""
    return str(job.state), doing(job)


def _line(job: JobInfo, width: int) -> str:
    state = JOB_STATES.get(job.state, str(job.state)).ljust(_STATE)
    what = doing(job)
    named = f"{one_line(job.job_type, _TYPE)}  {job.job_id[-SHORTEST:]}"
    return cut(f"{state}  {named}{f'  {what}' if what else ''}", width)
