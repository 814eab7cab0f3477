"""`askback job show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.completion import any_job
from askback.cli.context import CommandContext, client_command
from askback.cli.lookup import job_id_of

if TYPE_CHECKING:
    from askback._model.jobs import JobInfo
    from askback._model.prompts import PromptInfo
    from askback._text.spans import Times


@click.command(cls=Command)
@click.argument("job_id", shell_complete=any_job)
@client_command
async def show(context: CommandContext, job_id: str) -> None:
    """Show a job and its prompts.

    With --json: {"job": …, "prompts": […]}, and "carriedOver" if it has something of the job that it repeats.
    """
    from datetime import UTC, datetime

    from askback._model.enums import PromptState
    from askback._text.spans import Times
    from askback.cli.job.carry_over import CarriedOver
    from askback.cli.record import record

    job_id = await job_id_of(context.client, job_id)
    job = await context.client.get(job_id)
    states = [state for state in PromptState if state is not PromptState.UNSPECIFIED]
    prompts = [prompt async for prompt in context.client.prompts(job_id=job_id, states=states)]
    prompts.sort(key=lambda prompt: prompt.proto.round)
    carried = await CarriedOver.read(context.client, job)
    if context.out.as_record:
        found: dict[str, Any] = {"job": record(job.proto), "prompts": [record(p.proto) for p in prompts]}
        context.out.record(found if carried is None else {**found, "carriedOver": carried.record})
        return
    times = Times(datetime.now(UTC), context.out.verbose)
    context.out.fields(job_fields(job, times))
    for line in carried.lines(times) if carried is not None else ():
        context.out.line(line)
    for prompt in prompts:
        context.out.line()
        context.out.line(prompt_line(prompt))
        context.out.fields(prompt_fields(prompt, times), indent="   ")


def job_fields(job: JobInfo, times: Times) -> list[tuple[str, str]]:
    """The job as names and values for people; absent values are empty."""
    from askback._text.text import one_line
    from askback.cli.job.job_table import doing
    from askback.cli.words import JOB_STATES, json_words

    proto = job.proto
    state = JOB_STATES.get(job.state, str(job.state))
    if proto.HasField("cancel_request_time") and not job.state.is_terminal:
        state += " (asked to stop)"
    failure = ""
    if job.failure is not None:
        code, message, details = job.failure
        failure = f"{one_line(code)}: {one_line(message)}"
        failure += "" if details is None else f" {json_words(proto.failure.details_json)}"
    return [
        ("job", job.job_id),
        ("type", one_line(job.job_type)),
        ("state", state),
        ("doing", "" if job.state.is_terminal or job.state == "RUNNING" else doing(job)),
        ("progress", _progress(job)),
        ("owner", one_line(proto.user_id)),
        ("namespace", one_line(proto.namespace)),
        ("labels", ", ".join(f"{one_line(k)}={one_line(v)}" for k, v in sorted(job.labels.items()))),
        ("priority", str(proto.priority or "")),
        ("attempt", "" if proto.workerless or job.head_only else f"{job.attempt} of {proto.max_attempts}"),
        ("worker", one_line(job.worker_id)),
        ("created", times.when(job.created_at)),
        ("ended", times.when(job.completed_at)),
        ("cancelled by", _cancel(job)),
        ("retried from", one_line(proto.retried_from_job_id)),
        ("first of chain", one_line(job.root_job_id) if job.root_job_id != job.job_id else ""),
        ("input", json_words(proto.input_json) if proto.input_json else ""),
        ("result", json_words(proto.result_json) if proto.result_json else ""),
        ("failure", failure),
    ]


def prompt_line(prompt: PromptInfo) -> str:
    """One prompt of a job in a line: its round, kind, key and title."""
    from askback._text.text import one_line

    named = f" ({one_line(prompt.key)})" if prompt.key else ""
    return f"#{prompt.proto.round} {one_line(prompt.kind)}{named}: {one_line(prompt.title)}"


def prompt_fields(prompt: PromptInfo, times: Times) -> list[tuple[str, str]]:
    """One prompt of a job as names and values for people."""
    from askback._text.text import one_line
    from askback.cli.words import audience_words, resolution_words
    from askback.terminal.prompt_table import STATE_WORDS

    resolution = prompt.resolution
    return [
        ("prompt", prompt.prompt_id),
        ("state", STATE_WORDS.get(prompt.state, str(prompt.state))),
        ("answer", resolution_words(resolution) if resolution else ""),
        ("ended", times.when(resolution.at) if resolution else ""),
        ("reworded", _rewording(prompt)),
        ("for", audience_words(prompt) if prompt.is_open else ""),
        ("claimed by", one_line(prompt.claimed_by)),
        ("deadline", times.when(prompt.expires_at) if prompt.is_open else ""),
    ]


def _progress(job: JobInfo) -> str:
    """The newest progress with its percentage, also for a job that has ended."""
    from askback.cli.job.job_table import progress_words

    words = progress_words(job)
    return f"{words} ({job.progress.percent:.0f} %)" if words and job.progress.total else words


def _cancel(job: JobInfo) -> str:
    """The person who cancelled the job, with the reason; empty for a job that was not cancelled."""
    from askback._text.text import one_line

    if not job.proto.HasField("cancel_request_time") and job.state != "CANCELLED":
        return ""
    who = one_line(job.cancelled_by)
    return f"{who}: {one_line(job.cancel_reason)}" if job.cancel_reason else who


def _rewording(prompt: PromptInfo) -> str:
    """The digests of the answered and the asked wording, if an answer was kept for other words."""
    if not prompt.proto.HasField("rewording"):
        return ""
    rewording = prompt.proto.rewording
    return f"answer kept for other words: digest {rewording.digest}, now {rewording.asked_digest}"
