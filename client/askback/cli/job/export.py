"""`askback job export`."""

from __future__ import annotations

from pathlib import Path

import click

from askback.cli.command import Command
from askback.cli.completion import finished_jobs
from askback.cli.context import CommandContext, client_command
from askback.cli.lookup import job_id_of


@click.command(cls=Command)
@click.argument("job_id", shell_complete=finished_jobs)
@click.option("--format", "form", type=click.Choice(["pytest", "vector"]), required=True)
@click.option("--worker", metavar="MODULE:NAME", help="Where the Worker of the job's type is, for pytest.")
@click.option("--file", "output", metavar="FILE", type=click.Path(path_type=Path), help="[default: stdout]")
@client_command
async def export(
    context: CommandContext, job_id: str, form: str, worker: str | None, output: Path | None
) -> None:
    """Write a finished job as a test, or as a conformance vector.

    pytest: a test of your worker for `askback.testing`, in which a scripted human gives the answers that
    people gave. vector: the frames that the job's console sent and received.
    """
    import json

    from askback.cli.job.history import History
    from askback.cli.job.pytest_source import pytest_source
    from askback.cli.job.vector import vector

    if form == "pytest" and not _is_name(worker):
        raise click.UsageError("--format pytest needs --worker MODULE:NAME, for example refunds:worker")
    history = await History.read(context.client, await job_id_of(context.client, job_id))
    if form == "pytest":
        text = pytest_source(history, str(worker))
    else:
        text = json.dumps(vector(history), ensure_ascii=True, indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    _write(output, text)
    context.out.note(f"wrote {output}")


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise click.UsageError(f"--file {output}: {error.strerror}") from None


def _is_name(worker: str | None) -> bool:
    """Whether it is MODULE:NAME, as Python can import it."""
    module, colon, name = (worker or "").partition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))
