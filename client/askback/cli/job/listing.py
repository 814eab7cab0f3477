"""`askback job ls` and `askback job show`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from askback.cli.candidates import job_labels, job_types, owners
from askback.cli.command import Command
from askback.cli.completion import any_job
from askback.cli.naming import job_id_of
from askback.cli.session import Session, client_command
from askback.cli.spans import Moment

if TYPE_CHECKING:
    from askback.jobs import JobInfo
    from askback.prompts import PromptInfo

STATES = {
    "pending": "PENDING",
    "running": "RUNNING",
    "waiting": "PENDING_HITL",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
}


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
@click.option("--since", type=Moment(), help="Created since then, or in so long: 2026-11-25T08:00Z, 4h.")
@click.option("--before", type=Moment(), help="Created before then.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="0: all of them.")
@client_command
async def ls(
    session: Session,
    states: tuple[str, ...],
    job_types: tuple[str, ...],
    owners: tuple[str, ...],
    label_pairs: tuple[str, ...],
    since: datetime | None,
    before: datetime | None,
    limit: int,
) -> None:
    """List jobs, newest first.

    Repeating an option means OR; different options, and labels of different names, mean AND.
    """
    from datetime import UTC

    from askback.cli.job_input import label_conditions
    from askback.cli.record import record
    from askback.cli.words import JOB_STATES
    from askback.spans import span_words

    found = session.client.list(
        states=[STATES[state] for state in states],
        job_types=job_types,
        user_ids=owners,
        labels=label_conditions(label_pairs),
        created_after=since,
        created_before=before,
        page_size=min(limit + 1, 500) if limit else 500,
    )
    rows: list[tuple[str, ...]] = []
    now, count = datetime.now(UTC), 0
    async for job in found:
        count += 1
        if limit and count > limit:
            session.out.note(f"there are more than {limit}; --limit 0 lists all")
            break
        if session.out.as_json:
            session.out.json(record(job.proto))
            continue
        age = span_words(now - job.created_at) if job.created_at else ""
        rows.append((job.job_id, job.job_type, JOB_STATES.get(job.state, job.state), age, _doing(job)))
    if not session.out.as_json:
        session.out.table(("JOB", "TYPE", "STATE", "AGE", "DOING"), rows)


@click.command(cls=Command)
@click.argument("job_id", shell_complete=any_job)
@client_command
async def show(session: Session, job_id: str) -> None:
    """Show a job and its prompts.

    With --json: {"job": …, "prompts": […]}, and "carriedOver" if it has something of the job that it repeats.
    """
    from askback.cli.job.carried import CarriedOver
    from askback.cli.record import record
    from askback.enums import PromptState

    job_id = await job_id_of(session.client, job_id)
    job = await session.client.get(job_id)
    states = [state for state in PromptState if state is not PromptState.UNSPECIFIED]
    prompts = [prompt async for prompt in session.client.prompts(job_id=job_id, states=states)]
    prompts.sort(key=lambda prompt: prompt.proto.round)
    carried = await CarriedOver.read(session.client, job)
    if session.out.as_json:
        found: dict[str, Any] = {"job": record(job.proto), "prompts": [record(p.proto) for p in prompts]}
        session.out.json(found if carried is None else {**found, "carriedOver": carried.record})
        return
    for line in job_lines(job):
        session.out.line(line)
    for line in carried.lines() if carried is not None else ():
        session.out.line(line)
    for prompt in prompts:
        session.out.line()
        for line in prompt_lines(prompt):
            session.out.line(line)


def job_lines(job: JobInfo) -> list[str]:
    """The job for people, line by line."""
    from datetime import UTC

    from askback.cli.words import JOB_STATES, fields, json_words
    from askback.spans import when
    from askback.text import one_line

    proto, now = job.proto, datetime.now(UTC)
    state = JOB_STATES.get(job.state, str(job.state))
    if proto.HasField("cancel_request_time") and not job.state.is_terminal:
        state += " (asked to stop)"
    failure = ""
    if job.failure is not None:
        code, message, details = job.failure
        failure = f"{one_line(code)}: {one_line(message)}"
        failure += "" if details is None else f" {json_words(proto.failure.details_json)}"
    return fields(
        [
            ("job", job.job_id),
            ("type", one_line(job.job_type)),
            ("state", state),
            ("doing", "" if job.state.is_terminal else _doing(job)),
            ("owner", one_line(proto.user_id)),
            ("namespace", one_line(proto.namespace)),
            ("labels", ", ".join(f"{one_line(k)}={one_line(v)}" for k, v in sorted(job.labels.items()))),
            ("priority", str(proto.priority or "")),
            ("attempt", "" if proto.workerless else f"{job.attempt} of {proto.max_attempts}"),
            ("worker", one_line(job.worker_id)),
            ("created", when(job.created_at, now)),
            ("ended", when(job.completed_at, now)),
            ("retried from", one_line(proto.retried_from_job_id)),
            ("first of chain", one_line(job.root_job_id) if job.root_job_id != job.job_id else ""),
            ("input", json_words(proto.input_json) if proto.input_json else ""),
            ("result", json_words(proto.result_json) if proto.result_json else ""),
            ("failure", failure),
        ]
    )


def prompt_lines(prompt: PromptInfo) -> list[str]:
    """One of a job's prompts for people, line by line."""
    from datetime import UTC

    from askback.cli.words import PROMPT_STATES, audience_words, fields, resolution_words
    from askback.spans import when
    from askback.text import one_line

    now, resolution = datetime.now(UTC), prompt.resolution
    named = f" ({one_line(prompt.key)})" if prompt.key else ""
    kind = one_line(prompt.kind)
    lines = [f"#{prompt.proto.round} {kind}{named}: {one_line(prompt.title)}"]
    more = fields(
        [
            ("prompt", prompt.prompt_id),
            ("state", PROMPT_STATES.get(prompt.state, str(prompt.state))),
            ("answer", resolution_words(resolution) if resolution else ""),
            ("ended", when(resolution.at, now) if resolution else ""),
            ("reworded", _rewording(prompt)),
            ("for", audience_words(prompt) if prompt.is_open else ""),
            ("claimed by", one_line(prompt.claimed_by)),
            ("deadline", when(prompt.expires_at, now) if prompt.is_open else ""),
        ]
    )
    return lines + [f"   {line}" for line in more]


def _rewording(prompt: PromptInfo) -> str:
    """Which other wording the answer was kept for."""
    if not prompt.proto.HasField("rewording"):
        return ""
    rewording = prompt.proto.rewording
    return f"answer kept for other words: digest {rewording.digest}, now {rewording.asked_digest}"


def _doing(job: JobInfo) -> str:
    from askback.text import one_line

    progress = job.progress
    if job.state.is_waiting:
        return f"{job.open_prompts} open" if job.open_prompts != 1 else "1 open question"
    if job.state.is_terminal:
        return one_line(job.failure[1], 60) if job.failure and job.state == "FAILED" else ""
    steps = f"{progress.done}/{progress.total} " if progress.total else ""
    return f"{steps}{one_line(progress.message, 60)}".strip()
