"""`askback explain`."""

from __future__ import annotations

import click

from askback.cli.command import Command
from askback.cli.completion import any_job
from askback.cli.context import CommandContext, client_command
from askback.cli.lookup import asking_job_of


@click.command(cls=Command)
@click.argument("job_id", shell_complete=any_job)
@client_command
async def explain(context: CommandContext, job_id: str) -> None:
    """Say what a job waits for, and the command that unblocks it.

    JOB_ID is its id or the end of it; the end of a prompt's id and JOB/KEY name the job that asks.
    For each open question: who can answer, who has claimed it, what happened so far, and what its
    deadline does. If you may see only some questions of the job, it shows these, and nothing of the job's
    input, result or failure.
    """
    from datetime import UTC, datetime

    from askback._text.spans import Times
    from askback.cli.explanation import explain_job, lines

    client = context.client
    job_id = await asking_job_of(client, job_id)
    job = await client.get(job_id)
    events = []
    async for event in client.run(job_id).watch():
        events.append(event)
        if event.seq >= job.version:
            break
    prompts = [] if job.state.is_terminal else [prompt async for prompt in client.prompts(job_id=job_id)]
    prompts.sort(key=lambda prompt: prompt.proto.round)
    asked = [(prompt, [given async for given in client.answers(prompt.prompt_id)]) for prompt in prompts]
    times = Times(datetime.now(UTC), context.out.verbose)
    explanation = explain_job(job, asked, events, context.connection, times)
    if context.out.as_record:
        context.out.record(explanation)
        return
    for line in lines(explanation, job, prompts, times):
        context.out.line(line)
