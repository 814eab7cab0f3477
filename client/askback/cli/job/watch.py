"""`askback job watch`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.completion import any_job
from askback.cli.context import CommandContext, client_command
from askback.cli.lookup import job_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askback._model.jobs import Event
    from askback.cli.event_words import JobStatus
    from askback.cli.output import Output

_TIME_WIDTH = 22
"""The width of the time of an event of today, such as `12 min ago (18:05 CET)`."""


@click.command(cls=Command)
@click.argument("job_id", shell_complete=any_job)
@click.option("--after-seq", default=0, metavar="SEQ", help="Only events above this one.")
@client_command
async def watch(context: CommandContext, job_id: str, after_seq: int) -> int:
    """Follow a job to its end; the exit code says how it ended.

    Bookkeeping (leases, saved checkpoints, answers that the worker has taken up, who has a console open) is
    left out; -v and --json have every event. On a pipe, or with -o tsv, each event is a line with tabs
    between its time in UTC, its number, its type and what happened.

    0: completed. 5: failed or cancelled. Of a job without a worker (`askback ask`) it is what people
    said: 0 yes, 5 no, 6 no answer in time, also if the default was no. It continues after broken connections
    and restarts of the server.
    """

    from askback.cli.event_words import JobStatus, event_record, is_bookkeeping
    from askback.cli.exits import Exit
    from askback.cli.outcome_exits import job_exit
    from askback.errors import NotFound

    job_id = await job_id_of(context.client, job_id)
    run = context.client.run(job_id)
    await run.job()  # fails now if the server is unreachable, for which following would wait without end
    out, status = context.out, JobStatus()
    if after_seq and not out.as_json:
        async for prompt in context.client.prompts(job_id=job_id):
            status.add_open_prompt(prompt.prompt_id, prompt.title)
    with _display(out, status) as show:
        async for event in run.watch(after_seq=after_seq):
            status.apply(event)
            if out.as_json:
                out.json(event_record(event))
            elif out.verbose or not is_bookkeeping(event):
                show(event)
    try:
        return job_exit(await context.client.get(job_id))
    except NotFound:  # its last event was its deletion
        return Exit.NO


@contextmanager
def _display(out: Output, status: JobStatus) -> Iterator[Callable[[Event], None]]:
    """A function that prints an event as a line; on a terminal with a progress bar below the lines."""
    from datetime import UTC, datetime

    from askback._text.spans import when
    from askback.cli.event_words import event_words
    from askback.terminal.prompt_table import instant

    def line(event: Event) -> str:
        at = when(event.at, datetime.now(UTC), exact=out.verbose)
        number = f"#{event.seq} " if out.verbose else ""
        return f"{at.ljust(_TIME_WIDTH)}  {number}{event_words(event)}"

    def plain(event: Event) -> None:
        if out.as_tsv and not out.quiet:
            out.tsv([instant(event.at), event.seq, event.type, event_words(event)])
        elif not out.quiet:
            out.line(line(event))

    if not out.is_rich:
        yield plain
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
    from rich.text import Text

    columns: Any = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(event: Event) -> None:
            if not out.quiet:
                progress.console.print(Text(line(event)), highlight=False)
            description: Any = Text(status.description, style="yellow" if status.is_waiting else "")
            progress.update(
                task, description=description.markup, completed=status.done, total=status.total or None
            )

        yield show
